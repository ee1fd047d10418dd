/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to the daemon.
 *
 * Happy path: JSON comes back. Failure modes: a token is wanted: the person is asked, once however
 * many requests wait for it, and the request is made again; the daemon is away: Lost; it refuses:
 * Problem, with what it says.
 */
import { askForToken } from './dialog.js';

const PATIENCE_MS = 15000;
const KEY = 'tidemark token';

/** The daemon refused: `status`, and its own words as the message. */
export class Problem extends Error {
	constructor(status, detail) {
		super(detail || `the daemon answered ${status}`);
		this.status = status;
	}
}

/** The daemon did not answer. */
export class Lost extends Error {}

let token = sessionStorage.getItem(KEY);
let asking = null;
let isDeclined = false;
let skew = 0;

export function hasToken() {
	return token !== null;
}

export function forgetToken() {
	token = null;
	sessionStorage.removeItem(KEY);
}

/** The daemon's clock, as far as its dates tell it. */
export function now() {
	return Date.now() + skew;
}

function learnTime(answer) {
	const date = Date.parse(answer.headers.get('Date') || '');
	const ahead = date + 500 - Date.now();
	skew = Number.isNaN(date) || Math.abs(ahead) < 2000 ? 0 : ahead;
}

/** Ask for a token, after why. Throws when the person will not give one. */
async function obtainToken(used, why, isAsked) {
	if (used !== token)
		return;
	if (isDeclined && !isAsked)
		throw new Problem(401, why);
	asking ??= askForToken(why).finally(() => { asking = null; });
	const given = await asking;
	isDeclined = given === null;
	if (given === null)
		throw new Problem(401, why);
	token = given;
	sessionStorage.setItem(KEY, given);
}

async function send(method, path, body, signal) {
	const headers = {};
	if (token !== null)
		headers.Authorization = `Bearer ${token}`;
	if (method === 'POST')
		headers['Content-Type'] = 'application/json';
	try {
		const answer = await fetch(path, {
			method, headers, cache: 'no-store', credentials: 'omit', signal,
			body: method === 'POST' ? JSON.stringify(body ?? {}) : undefined,
		});
		learnTime(answer);
		return answer;
	} catch (error) {
		throw new Lost(error.message);
	}
}

async function explain(answer) {
	try {
		const problem = await answer.json();
		return new Problem(answer.status, problem.detail);
	} catch {
		return new Problem(answer.status, answer.statusText);
	}
}

/** An answer that is no refusal; `signal` ends it. A token is asked for where one is wanted. */
export async function fetchAnswer(method, path, body, signal) {
	for (;;) {
		const used = token;
		const answer = await send(method, path, body, signal);
		const wantsAnother = answer.status === 403 && method === 'POST' && used !== null;
		if (answer.status !== 401 && !wantsAnother)
			return answer;
		const problem = await explain(answer);
		await obtainToken(used, problem.message, method === 'POST');
	}
}

/* A number that this language would round is kept as it was sent. */
function keepNumber(key, value, context) {
	const isRounded = typeof value === 'number' && context?.source !== undefined &&
		!Number.isSafeInteger(value) && String(value) !== context.source;
	return isRounded && JSON.rawJSON ? JSON.rawJSON(context.source) : value;
}

/** JSON that people look at. */
export function parseExactly(text) {
	return JSON.parse(text, keepNumber);
}

async function read(answer, isExact) {
	try {
		return isExact ? parseExactly(await answer.text()) : await answer.json();
	} catch (error) {
		throw new Lost(error.message);
	}
}

export async function get(path, isExact) {
	const answer = await fetchAnswer('GET', path, null, AbortSignal.timeout(PATIENCE_MS));
	if (!answer.ok)
		throw await explain(answer);
	return read(answer, isExact);
}

/** Health is told with 503 where all is not well. */
export async function getHealth() {
	const answer = await fetchAnswer('GET', '/health', null, AbortSignal.timeout(PATIENCE_MS));
	if (!answer.ok && answer.status !== 503)
		throw await explain(answer);
	return read(answer);
}

export async function post(path, body) {
	const answer = await fetchAnswer('POST', path, body, AbortSignal.timeout(PATIENCE_MS));
	if (!answer.ok)
		throw await explain(answer);
	return read(answer);
}

/** A token may be asked for again, now that the person is there. */
export function allowAsking() {
	isDeclined = false;
}

/** What server-sent events say, as they come: {id, event, data}. Ends when the stream does. */
export async function* listen(path, signal) {
	const answer = await fetchAnswer('GET', path, null, signal);
	if (!answer.ok)
		throw await explain(answer);
	const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
	let rest = '', said = { data: [] };
	for (;;) {
		let chunk;
		try {
			chunk = await reader.read();
		} catch (error) {
			throw new Lost(error.message);
		}
		if (chunk.done)
			return;
		const lines = (rest + chunk.value).split(/\r\n|\n|\r/);
		rest = lines.pop();
		for (const line of lines) {
			const colon = line.indexOf(':');
			const name = colon < 0 ? line : line.slice(0, colon);
			const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
			if (line === '' && said.data.length > 0)
				yield { ...said, data: said.data.join('\n') };
			if (line === '')
				said = { data: [] };
			else if (name === 'data')
				said.data.push(value);
			else if (name === 'id' || name === 'event')
				said[name] = value;
		}
	}
}
