#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
//
// Keeps a line of each event, its position and some members of its payload: keep.mjs FILE MEMBER...
//
// `day` is that on which the event occurred. What comes again is known by its position, since events come in order.
import { createInterface } from 'node:readline';
import { appendFileSync, existsSync, readFileSync } from 'node:fs';

const [file, ...names] = process.argv.slice(2);
const before = existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n').pop() : '';
let last = Number(before.split('\t')[0]);

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
	const event = JSON.parse(line);
	if (event.global_position > last) {
		last = event.global_position;
		const members = { day: event.occurred_at.slice(0, 10), ...event.payload };
		appendFileSync(file, [last, ...names.map((name) => members[name])].join('\t') + '\n');
	}
	process.stdout.write('ok\n');
}
