/* SPDX-License-Identifier: Apache-2.0 */
/* A stock EventSource that writes down each position it is told: follow.js URL AFTER FILE */
import fs from 'node:fs';
import { EventSource } from 'eventsource';

const [, , url, after, name] = process.argv;
const file = fs.openSync(name, 'a');
let last = after;

function follow() {
	const source = new EventSource(`${url}?after=${last}`);
	source.onmessage = ({ data, lastEventId }) => {
		if (JSON.parse(data).global_position !== Number(lastEventId))
			throw new Error(`${lastEventId} is ${data}`);
		last = lastEventId;
		fs.writeSync(file, `${last}\n`);
	};
	/* It connects again by itself, but for an answer that is none of 200: then it is for good. */
	source.onerror = () => {
		if (source.readyState === EventSource.CLOSED)
			follow();
	};
}

follow();
