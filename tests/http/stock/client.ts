/* SPDX-License-Identifier: Apache-2.0 */
/* A client whose types were made from the description: it appends, reads and follows. */
import createClient from 'openapi-fetch';
import type { components, paths } from './schema.js';

declare const process: { argv: string[] };
const [, , url, token] = process.argv;
const client = createClient<paths>({ baseUrl: url, headers: { Authorization: `Bearer ${token}` } });
const stream = { aggregate_type: 'Order', aggregate_id: 'name:generated' };

function check(claim: boolean, what: unknown): asserts claim {
	if (!claim)
		throw new Error(JSON.stringify(what));
}

async function append(number: number, version: number) {
	const header = version === 0 ? { 'If-None-Match': '*' } : { 'If-Match': `"${version}"` };
	return client.POST('/api/streams/{aggregate_type}/{aggregate_id}', {
		params: { path: stream, header },
		body: { event_id: `name:generated ${number}`, event_type: 'OrderPlaced', payload: { number } },
	});
}

/* Appending, with what comes of a repetition and of a conflict. */
const first = await append(1, 0);
check(first.response.status === 201 && first.data !== undefined, first.error);
check(first.data.aggregate_version === 1 && !first.data.was_stored_before, first.data);
const again = await append(1, 0);
check(again.response.status === 200 && again.data?.was_stored_before === true, again);
const conflict = await append(2, 7);
check(conflict.response.status === 409 && conflict.error?.type === 'conflict', conflict);
check(conflict.error.expected === 7 && conflict.error.actual === 1, conflict.error);
const second = await append(2, 1);
check(second.data?.aggregate_version === 2, second);

/* Reading. */
const page = await client.GET('/api/streams/{aggregate_type}/{aggregate_id}', { params: { path: stream, query: { limit: 1 } } });
check(page.data?.aggregate_version === 2 && page.data.events.length === 1 && page.data.next === 1, page);
const read = page.data.events[0];
check(!('error' in read), read);
const event: components['schemas']['StoredEvent'] = read;
check(event.event_type === 'OrderPlaced' && event.global_position === first.data.global_position, event);
const feed = await client.GET('/api/events', { params: { query: { order: 'desc', limit: 2, type: ['OrderPlaced', 'None'] } } });
const newest = feed.data?.events[0];
check(newest !== undefined && 'global_position' in newest && newest.global_position === second.data.global_position, feed);
const wrong = await client.GET('/api/events/{event_id}', { params: { path: { event_id: 'x' } } });
check(wrong.response.status === 422 && wrong.error?.detail === "event_id 'x' is no UUID", wrong);

/* Following. */
const followed = await client.GET('/api/events/stream', {
	params: { query: { after: first.data.global_position - 1 } }, parseAs: 'stream',
});
check(followed.response.ok && followed.data !== undefined && followed.data !== null, followed.error);
const third = await append(3, 2);
const reader = followed.data.pipeThrough(new TextDecoderStream()).getReader();
const seen: number[] = [];
for (let text = ''; seen.at(-1) !== third.data?.global_position;) {
	const { value, done } = await reader.read();
	check(!done, 'the stream has ended');
	text += value;
	const lines = text.split('\n');
	text = lines.pop() ?? '';
	seen.push(...lines.filter(line => line.startsWith('id: ')).map(line => Number(line.slice(4))));
}
await reader.cancel();
console.log(`appended, read and followed ${seen.length}`);
