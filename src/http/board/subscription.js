/* SPDX-License-Identifier: Apache-2.0 */
/* The page of one subscription: how it is, why, what can be done, and what has been. */
import { Actions } from './actions.js';
import { get, Problem } from './api.js';
import { Progress, Sparkline, State } from './chart.js';
import { el, facts, row, say, table } from './dom.js';
import { count, link, query, rate, seconds, time, words } from './format.js';
import { find, lagSeconds, model, storeOf, watch } from './model.js';
import { runsWhere } from './overview.js';

const LOOK_MS = 3000;

/** Replace what a node shows, when it is something else; `key` says what it is. */
class Part {
	constructor(title) {
		this.content = el('div');
		this.node = el('section', { class: 'panel', hidden: true, 'aria-label': title },
			el('h2', null, title), this.content);
	}

	show(data, make) {
		const key = JSON.stringify(data);
		if (this.key === key)
			return;
		this.key = key;
		const shown = data === null ? null : make(data);
		this.node.hidden = shown === null;
		this.content.replaceChildren(...[shown].flat().filter(node => node !== null));
	}
}

function eventLink(id, store, text) {
	return id ? el('a', { href: link(['events', id], { store }) }, text ?? id) : text ?? null;
}

function showValue(value) {
	if (value === null || value === undefined)
		return 'none';
	if (typeof value === 'boolean')
		return value ? 'yes' : 'no';
	return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/* ---- What is shown --------------------------------------------------------------------------- */

function numbers(one) {
	const store = storeOf(one), waited = lagSeconds(one);
	return [
		['Position', `${count(one.position)} of ${count(store.head)}`],
		['Behind', one.lag_events === null ? 'not known'
			: `${count(one.lag_events)} events${waited ? `, ${seconds(waited)}` : ''}`],
		['Events a second', rate(one.rate)],
		['Runs', runsWhere(one)],
		['Started', one.started_at && time(one.started_at)],
		['Handled in this run', count(one.events_processed)],
		['Passed by a filter', count(one.events_skipped)],
		['Failed', count(one.events_failed)],
		['Errors a minute', one.errorRate === null ? null : rate(one.errorRate)],
		['Discarded', one.events_discarded ? count(one.events_discarded) : null],
		['Read ahead', `${count(one.in_flight)}, at most ${count(one.in_flight_peak)} so far`],
		['Last event', one.last_event_id && eventLink(one.last_event_id, one.store, one.last_event_type)],
		['Handled at', one.last_processed_at && time(one.last_processed_at)],
		['Waits for', one.waiting_for],
		['Paused by', one.paused_by],
		['Paused since', one.paused_at && time(one.paused_at)],
		['Note', one.pause_note],
		['Last error', one.error],
	];
}

/* Whoever runs it, wherever; a store in memory has no others. */
function members(list) {
	if (list.length === 0)
		return null;
	const told = list.map(one => `pid ${one.pid}${one.host ? ` on ${one.host}` : ''}${one.here ? ' (here)' : ''}: ` +
		`${count(one.lanes)} ${one.lanes === 1 ? 'lane' : 'lanes'}`);
	return el('p', null, `Run by ${count(list.length)} ${list.length === 1 ? 'process' : 'processes'}. ${told.join('; ')}.`);
}

/* In containers all of them may have the same number. */
function owner(lane, here) {
	if (!lane.owned)
		return el('span', { class: 'bad' }, 'nobody');
	const isHere = lane.pid === here?.pid && lane.host === here?.host;
	return lane.pid === null ? 'a process' : `pid ${lane.pid}${isHere ? ' (here)' : ''}`;
}

function lanes({ lane_statuses: list, members: processes }) {
	const columns = ['Lane', 'State', 'Position', 'Behind', 'Owner', 'Host', 'Since'];
	if (!list)
		return el('p', null, 'The database does not answer: who has which lane is not known.');
	const here = processes.find(one => one.here);
	return [members(processes), table('Lanes', columns, list.map(lane => row(columns, [
		lane.name.slice(lane.name.lastIndexOf('#') + 1), words(lane.state) || '–', count(lane.position),
		count(lane.lag_events), owner(lane, here), lane.host ?? '–', lane.acquired_at ? time(lane.acquired_at) : '–',
	])))];
}

/* What the table of lanes shows, so that it stays as it is while nothing of it changes. */
function lanesKey(one) {
	if (!one.lanes)
		return null;
	const list = one.lane_statuses?.map(({ name, state, position, lag_events, owned, host, pid, acquired_at }) =>
		({ name, state, position, lag_events, owned, host, pid, acquired_at }));
	return { lane_statuses: list ?? null, members: one.members ?? null };
}

function causes(why) {
	const known = Object.entries(why.evidence ?? {});
	return [
		el('p', { class: 'reason' }, why.reason),
		why.advice ? el('p', null, `What to do: ${why.advice}`) : null,
		known.length ? el('details', null, el('summary', null, 'Evidence'),
			facts([['since', why.since && time(why.since)],
				...known.map(([key, value]) => [words(key), showValue(value)])])) : null,
	];
}

function indicators(list) {
	const columns = ['Indicator', 'Status', 'Message'];
	return table('Indicators of health', columns, list.map(one => row(columns,
		[words(one.name), el('span', { class: one.status === 'healthy' ? 'good' : 'bad' }, one.status), one.message])));
}

function recentErrors(list, store) {
	const columns = ['When', 'Position', 'Event', 'Kind', 'Error', 'Dead letter'];
	if (list.length === 0)
		return el('p', null, 'None in this run.');
	return table('Recent errors', columns, list.map(one => row(columns, [
		time(one.timestamp), one.position < 0 ? '–' : count(one.position),
		eventLink(one.event_id, store, one.event_type), words(one.error_type), one.error_message,
		one.sent_to_dlq ? 'yes' : 'no',
	])));
}

function journal(list) {
	const columns = ['When', 'Who', 'Did', 'Detail'];
	return list.length === 0 ? el('p', null, 'Nothing yet.')
		: table('Journal', columns, list.map(one => row(columns, [time(one.at),
			one.host ? `${one.who} on ${one.host}` : one.who, words(one.act), one.detail ?? ''])));
}

/* ---- The page -------------------------------------------------------------------------------- */

export class Subscription {
	constructor(name, parameters) {
		this.name = name;
		this.store = parameters.get('store');
		this.title = name;
		this.isOpen = true;
		this.lookedAt = 0;
		this.state = new State();
		this.progress = new Progress();
		this.spark = new Sparkline('spark large');
		this.actions = new Actions(null);
		this.missing = el('p', null, 'Asking the daemon …');
		this.why = new Part('Why');
		this.numbers = new Part('Numbers');
		this.lanes = new Part('Lanes');
		this.health = new Part('Health');
		this.errors = new Part('Recent errors');
		this.config = new Part('Configuration in effect');
		this.journal = new Part('What persons did');
		this.found = el('div', { hidden: true },
			el('p', { class: 'at' }, this.state.node, this.letters = el('a', { class: 'bad', hidden: true })),
			this.actions.node, this.why.node,
			el('section', { class: 'panel', 'aria-label': 'Progress' },
				this.progress.node, this.spark.node,
				el('p', { class: 'muted', 'aria-hidden': 'true' }, 'Lag over the last ten minutes')),
			this.numbers.node, this.lanes.node, this.health.node, this.errors.node, this.config.node, this.journal.node);
		this.node = [el('h1', { tabindex: '-1' }, name), this.missing, this.found];
	}

	/* Only what this daemon has. */
	async look(route, parameters, part, make) {
		if (!model.gets.has(route))
			return;
		try {
			const data = await get(route.replace('{name}', encodeURIComponent(this.name)) + query(parameters));
			if (this.isOpen)
				part.show(data, make);
		} catch (error) {
			if (!(error instanceof Problem))
				return;
			part.show(null);
		}
	}

	lookFurther(one) {
		if (Date.now() - this.lookedAt < LOOK_MS)
			return;
		this.lookedAt = Date.now();
		const store = one.store;
		this.look('/api/subscriptions/{name}/errors', { store }, this.errors, data => recentErrors(data.errors, store));
		this.look('/api/subscriptions/{name}/config', { store }, this.config, data => {
			one.canRebuild = data.can_rebuild;
			this.actions.update(one);
			return facts(Object.entries(data).map(([key, value]) => [words(key), showValue(value)]));
		});
		this.look('/api/journal', { store, name: this.name, limit: 20 }, this.journal, data => journal(data.journal));
	}

	update() {
		const one = find(this.name, this.store);
		this.found.hidden = !one;
		this.missing.hidden = Boolean(one);
		if (!one) {
			say(this.missing, model.isLoaded ? 'No subscription of this name runs in this process.'
				: 'Asking the daemon …');
			return;
		}
		if (this.watched !== one && this.watched)
			watch(this.watched, false);
		this.watched = one;
		watch(one, this.isOpen);
		this.state.update(one);
		this.progress.update(one.position, storeOf(one).head);
		this.spark.update(one.lags);
		this.actions.update(one);
		this.letters.hidden = !one.deadLetters;
		say(this.letters, `${count(one.deadLetters)} dead letters`);
		this.letters.href = link(['dead-letters'], { store: one.store, projection: one.name });
		this.why.show(one.why ?? (one.message ? { reason: one.message } : null), causes);
		const shown = numbers(one);
		this.numbers.show(shown.map(([, value]) => value?.textContent ?? value), () => facts(shown));
		this.lanes.show(lanesKey(one), lanes);
		this.health.show(one.health?.indicators ?? null, indicators);
		this.lookFurther(one);
	}

	close() {
		this.isOpen = false;
		if (this.watched)
			watch(this.watched, false);
	}
}
