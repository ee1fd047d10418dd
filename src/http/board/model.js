/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the page knows: stores, subscriptions, and how they were in the last ten minutes.
 *
 * Happy path: the daemon is asked once a second, less often where an answer takes long and where
 * nobody looks. Failure modes: it does not answer: what was known stays, the page says since when,
 * and asks on; what only a newer or older daemon has is left out.
 */
import { get, getHealth, hasToken, Lost, now, Problem } from './api.js';
import { query } from './format.js';

const SPAN_MS = 600000;
const TICK_MS = 1000;
const HIDDEN_MS = 10000;
const SPARK_MS = 10000;
const LOOK_MS = 5000;
const LOOKS = 6; /* at causes and at waiting events, of a tick */

export const model = {
	stores: new Map(),        /* by name; '' where there is only one */
	subscriptions: new Map(), /* by store and name */
	gets: new Set(),          /* paths of this daemon that can be read */
	posts: new Set(),         /* and posted to */
	isLost: false,
	since: 0,                 /* when it was lost */
	problem: null,            /* why nothing is shown */
	isLoaded: false,
};

/** 'tick' after each answer or failure. */
export const changes = new EventTarget();

export function keyOf(subscription) {
	return `${subscription.store ?? ''}\u0000${subscription.name}`;
}

export function find(name, store) {
	for (const one of model.subscriptions.values())
		if (one.name === name && (!store || (one.store ?? '') === store))
			return one;
	return null;
}

/** Whether all is as it should be, so that nothing has to be said. */
export function isWell(one) {
	return one.state === 'live' && (one.health?.status ?? 'healthy') === 'healthy';
}

/* ---- Stores ---------------------------------------------------------------------------------- */

/* Where the feed was, at moments in order: [time, position]. */
function addSample(samples, at, position) {
	const last = samples.at(-1);
	if (last && position < last[1]) /* another store is there */
		samples.length = 0;
	samples.push([at, position]);
	while (samples.length > 2 && samples[1][0] < at - SPAN_MS)
		samples.shift();
}

/** Events stored between two moments, as far as they are known. */
export function storedBetween(samples, from, to) {
	return Math.max(0, positionAt(samples, to) - positionAt(samples, from));
}

function positionAt(samples, at) {
	if (samples.length === 0 || at <= samples[0][0])
		return samples.length ? samples[0][1] : 0;
	for (let i = samples.length - 1; i > 0; i--) {
		const [before, low] = samples[i - 1], [after, high] = samples[i];
		if (at >= after)
			return high;
		if (at > before)
			return low + (high - low) * (at - before) / (after - before);
	}
	return samples[0][1];
}

/* When the event behind a position was stored, as far as the samples tell. */
function storedAt(samples, position) {
	for (let i = samples.length - 1; i > 0; i--)
		if (samples[i - 1][1] <= position && samples[i][1] > position) {
			const [before, low] = samples[i - 1], [after, high] = samples[i];
			return before + (after - before) * (position + 1 - low) / (high - low);
		}
	return null;
}

async function lookAtEvent(store, position) {
	const page = await get(`/api/events${query({ store, order: 'desc', before: position + 1, limit: 1 })}`);
	const event = page.events[0];
	return event?.stored_at ? [Date.parse(event.stored_at), event.global_position] : null;
}

/* Fill in what was before this page was opened: where the feed was at some moments. */
async function learnPast(store) {
	const head = store.head, found = [];
	const begin = now() - SPAN_MS;
	let step = 1, low = head;
	for (; low > 0; step *= 2) {
		const one = await lookAtEvent(store.name, low);
		if (!one)
			break;
		found.push(one);
		low = Math.max(0, head - step);
		if (one[0] < begin)
			break;
	}

	const least = found.length ? found.at(-1)[1] : head;
	for (let i = 1; i < 24 && head - least > 24; i++) {
		const one = await lookAtEvent(store.name, Math.round(least + (head - least) * i / 24));
		if (one)
			found.push(one);
	}
	found.sort((a, b) => a[1] - b[1] || a[0] - b[0]);
	const first = store.samples[0]?.[0] ?? now();
	const past = found.filter(([at], i) => at < first && (i === 0 || at >= found[i - 1][0]));
	if (least <= 1 && past.length)
		past.unshift([past[0][0] - 1, 0]);
	store.samples.unshift(...past);
	store.hasPast = true;
}

async function refreshStore(store) {
	const told = await get(`/api/store${query({ store: store.name })}`);
	store.url = told.url;
	store.head = told.global_position;
	store.rates = told.events_per_second;
	addSample(store.samples, now(), store.head);
	if (!store.asksPast) {
		store.asksPast = true;
		learnPast(store).catch(() => { store.asksPast = false; });
	}
}

async function refreshStores() {
	const { stores } = await get('/api/stores');
	const known = new Map();
	for (const { store: name, is_open: isOpen, error } of stores) {
		const old = model.stores.get(name ?? '') ?? { samples: [], head: null, rates: null };
		known.set(name ?? '', Object.assign(old, { name: name ?? '', isOpen, error }));
	}
	model.stores = known;
	const open = [...known.values()].filter(store => store.isOpen);
	await Promise.all(open.map(store => refreshStore(store).catch(error => {
		if (!(error instanceof Problem))
			throw error;
		store.error = error.message;
	})));
}

/* ---- Subscriptions --------------------------------------------------------------------------- */

export function storeOf(one) {
	return model.stores.get(one.store ?? '') ?? { name: '', head: null, samples: [] };
}

function remember(one, at) {
	const lag = one.lag_events ?? 0;
	const isNewRun = one.recent.length > 0 && one.recent.at(-1)[1] > one.events_processed;
	if (isNewRun)
		one.recent.length = 0;
	one.recent.push([at, one.events_processed]);
	while (one.recent.length > 2 && one.recent[1][0] < at - 10000)
		one.recent.shift();
	const [before, processed] = one.recent[0];
	one.rate = at - before >= 500 ? (one.events_processed - processed) * 1000 / (at - before) : null;

	const last = one.lags.at(-1);
	if (last && at - last[0] < SPARK_MS)
		last[1] = Math.max(last[1], lag);
	else
		one.lags.push([at, lag]);
	while (one.lags[0][0] < at - SPAN_MS)
		one.lags.shift();
}

function indicator(health, name) {
	return health?.indicators?.find(one => one.name === name);
}

function judge(one) {
	one.deadLetters = indicator(one.health, 'dlq')?.details?.dlq_count ?? null;
	one.handlerBreaker = indicator(one.health, 'handler_circuit_breaker')?.details?.state ?? null;
	one.infraBreaker = indicator(one.health, 'infra_circuit_breaker')?.details?.state ?? null;
	one.errorRate = one.health?.error_rate ?? null;
	one.message = one.health?.indicators?.find(other => other.status === one.health.status &&
		other.status !== 'healthy')?.message ?? one.health?.last_error ?? null;
}

/** How long the oldest event has waited that it has not come to; null: nobody knows. */
export function lagSeconds(one) {
	if (one.lag_events === 0)
		return 0;
	if (!one.lag_events || one.state === 'starting')
		return null;
	const known = storedAt(storeOf(one).samples, one.position);
	const at = known ?? (one.waiting?.at || null);
	return at === null ? null : Math.max(0, (now() - at) / 1000);
}

async function refreshSubscriptions() {
	const [{ subscriptions }, health] = await Promise.all([get('/api/subscriptions'), getHealth()]);
	const byName = new Map(health.subscriptions.map(one => [one.name, one]));
	const known = new Map(), at = now();
	for (const told of subscriptions) {
		const old = model.subscriptions.get(keyOf(told)) ?? { recent: [], lags: [] };
		const one = Object.assign(old, told, { health: byName.get(told.name) });
		judge(one);
		remember(one, at);
		known.set(keyOf(one), one);
	}
	model.subscriptions = known;
}

/* ---- What is looked up for few -------------------------------------------------------------- */

async function lookAtCause(one) {
	one.lookedAt = now();
	try {
		one.why = await get(`/api/why/${encodeURIComponent(one.name)}${query({ store: one.store })}`);
	} catch (error) {
		if (!(error instanceof Problem))
			throw error;
		one.why = null;
	}
}

async function lookAtWaiting(one) {
	const position = one.position;
	const page = await get(`/api/events${query({ store: one.store, after: position, limit: 1 })}`);
	one.waiting = { position, at: Date.parse(page.events[0]?.stored_at) };
}

/** Have the cause of a subscription looked up at the next tick, whether it is well or not. */
export function watch(one, isWatched) {
	one.isWatched = isWatched;
}

async function lookCloser() {
	const all = [...model.subscriptions.values()];
	for (const one of all)
		if (isWell(one) && !one.isWatched && one.lag_events === 0)
			one.why = null;
	const causes = all.filter(one => one.isWatched || !isWell(one) || one.lag_events > 0)
		.filter(one => now() - (one.lookedAt ?? 0) > (one.isWatched ? TICK_MS : LOOK_MS))
		.sort((a, b) => (a.lookedAt ?? 0) - (b.lookedAt ?? 0)).slice(0, LOOKS);
	const waiting = all.filter(one => one.lag_events > 0 && one.state !== 'starting' &&
		one.waiting?.position !== one.position && storedAt(storeOf(one).samples, one.position) === null)
		.slice(0, LOOKS);
	await Promise.all([...causes.map(lookAtCause), ...waiting.map(lookAtWaiting)]);
}

/* Causes may take long to find where a database is busy: rows do not wait for them. */
let isLooking = false;
function lookAside() {
	if (isLooking)
		return;
	isLooking = true;
	lookCloser().catch(() => {}).finally(() => { isLooking = false; });
}

/* ---- The clockwork --------------------------------------------------------------------------- */

async function learnPaths() {
	const { paths } = await get('/openapi.json');
	model.gets = new Set(Object.keys(paths).filter(path => paths[path].get));
	model.posts = new Set(Object.keys(paths).filter(path => paths[path].post));
}

async function step() {
	if (model.posts.size === 0)
		await learnPaths();
	await refreshStores();
	await refreshSubscriptions();
	lookAside();
}

let timer = 0, isStepping = false, isRung = false;

async function tick() {
	clearTimeout(timer);
	isStepping = true;
	isRung = false;
	const began = performance.now();
	try {
		await step();
		model.isLost = false;
		model.isLoaded = true;
		model.problem = null;
	} catch (error) {
		if (!(error instanceof Lost) && !(error instanceof Problem))
			console.error(error);
		if (!model.isLost && error instanceof Lost)
			model.since = Date.now();
		model.isLost = error instanceof Lost;
		model.problem = model.isLost ? null : error;
		if (model.isLost)
			model.posts = new Set();
	}
	isStepping = false;
	changes.dispatchEvent(new Event('tick'));
	const took = performance.now() - began;
	const pause = Math.max(document.hidden ? HIDDEN_MS : TICK_MS, 4 * took);
	timer = setTimeout(tick, isRung ? 0 : pause);
}

/** Ask now. */
export function refresh() {
	isRung = true;
	if (!isStepping)
		tick();
}

export function begin() {
	document.addEventListener('visibilitychange', () => { if (!document.hidden) refresh(); });
	tick();
}

export { hasToken };
