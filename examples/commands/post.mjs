#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
//
// Posts events to a HTTP server: post.mjs URL
//
// The server is told the event's id, so that it can tell one that comes again. What it refuses (4xx) will not be
// accepted later either; everything else may pass:
//
//     tide handle --name hook --window 20 -- node post.mjs http://127.0.0.1:8000/orders
import { createInterface } from 'node:readline';

const url = process.argv[2];
const answer = (result, why) => process.stdout.write(JSON.stringify({ result, why }) + '\n');

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
	const event = JSON.parse(line);
	try {
		const response = await fetch(url, {
			method: 'POST',
			headers: { 'Content-Type': 'application/json', 'Idempotency-Key': event.event_id },
			body: JSON.stringify({ type: event.event_type, ...event.payload }),
		});
		await response.arrayBuffer();
		if (response.ok) answer('ok');
		else answer(response.status >= 400 && response.status < 500 ? 'fail' : 'retry', `HTTP ${response.status}`);
	} catch (error) {
		answer('retry', String(error.cause?.code ?? error.message));
	}
}
