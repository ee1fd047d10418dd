/* SPDX-License-Identifier: Apache-2.0 */
/* Events: a list with filters that can be followed, one stream, one event, and what it led to. */
import { get, listen, Lost, parseExactly, Problem } from './api.js';
import { el, facts, field, json, row, say, set, table } from './dom.js';
import { count, link, query, time, words } from './format.js';
import { changes, model } from './model.js';

const PAGE = 50;
const SHOWN_MAX = 500;
const REST_MS = 1000;
const COLUMNS = ['Position', 'Stored', 'Type', 'Stream', 'Version', 'Event'];

function streamLink(event, store) {
	return el('a', { href: link(['streams', event.aggregate_type, event.aggregate_id], { store }) },
		`${event.aggregate_type}/${event.aggregate_id}`);
}

function eventRow(event, store) {
	if (event.error)
		return row(COLUMNS, ['–', '–', el('span', { class: 'bad' }, event.error), '–', '–', '–']);
	return row(COLUMNS, [
		count(event.global_position), time(event.stored_at), event.event_type, streamLink(event, store),
		count(event.aggregate_version),
		el('a', { href: link(['events', event.event_id], { store }), class: 'id' }, event.event_id),
	]);
}

function sayProblem(node, error) {
	set(node, 'class', 'bad');
	say(node, error instanceof Lost ? `The daemon did not answer: ${error.message}` : error.message);
}

function storeField(value) {
	const names = [...model.stores.keys()].filter(name => name !== '');
	const shown = field('Store', el('select', { id: 'store', name: 'store' }, names.map(name =>
		el('option', { value: name, selected: name === value }, name))));
	shown.hidden = names.length < 2;
	return shown;
}

/** The store that is meant where none is named: the first one. */
function storeOrFirst(parameters) {
	return parameters.get('store') || [...model.stores.keys()][0] || '';
}

/* Stores are known after the first answer of the daemon. */
function whenLoaded(run) {
	if (model.isLoaded)
		run();
	else
		changes.addEventListener('tick', () => whenLoaded(run), { once: true });
}

/* ---- The list -------------------------------------------------------------------------------- */

const fields = [
	['type', 'Event types', 'blanks between several'],
	['aggregate_type', 'Aggregate types', 'one or more'],
	['aggregate_id', 'Aggregate id', 'UUID'],
	['tenant', 'Tenant', 'UUID'],
	['since', 'Occurred since', '2026-01-31T12:00:00Z'],
	['until', 'Occurred until', '2026-01-31T13:00:00Z'],
];

export class Events {
	constructor(parameters) {
		this.title = 'Events';
		this.parameters = parameters;
		this.isOpen = true;
		this.following = null;
		this.next = null;
		this.newest = null;
		this.body = el('tbody', { role: 'rowgroup' });
		this.told = el('p', { class: 'muted' });
		this.form = el('div');
		this.follow = el('input', {
			type: 'checkbox', id: 'follow', onchange: () => this.toggle(this.follow.checked),
		});
		this.more = el('button', { type: 'button', hidden: true, onclick: () => this.load() }, 'Show older ones');
		this.node = [
			el('h1', { tabindex: '-1' }, 'Events'), this.form,
			el('p', null, el('label', { class: 'inline', for: 'follow' }, this.follow, 'Follow what is stored from now on')),
			this.told,
			el('div', { class: 'scroll', role: 'region', tabindex: '0', 'aria-label': 'Table of events' },
				el('table', { role: 'table', 'aria-label': 'Events' },
					el('thead', { role: 'rowgroup' }, el('tr', { role: 'row' },
						COLUMNS.map(column => el('th', { role: 'columnheader', scope: 'col' }, column)))),
					this.body)),
			el('p', null, this.more),
		];
		whenLoaded(() => this.begin());
	}

	begin() {
		if (!this.isOpen)
			return;
		this.store = storeOrFirst(this.parameters);
		const inputs = fields.map(([name, label, hint]) => field(label, el('input', {
			id: `field-${name}`, name, placeholder: hint, autocomplete: 'off', spellcheck: 'false',
			value: this.parameters.getAll(name).join(' '),
		})));
		this.form.replaceChildren(el('form', {
			class: 'filters', role: 'search', 'aria-label': 'Events',
			onsubmit: event => this.search(event),
		}, storeField(this.store), inputs, el('div', { class: 'buttons' },
			el('button', { type: 'submit', class: 'primary' }, 'Show'),
			el('a', { href: link(['events'], { store: this.store }) }, 'Without filters'))));
		this.load();
	}

	search(event) {
		event.preventDefault();
		const values = Object.fromEntries(new FormData(event.target));
		for (const name of ['type', 'aggregate_type'])
			values[name] = values[name].split(/[\s,]+/);
		const wanted = link(['events'], values);
		if (location.hash === wanted)
			window.dispatchEvent(new Event('hashchange'));
		else
			location.hash = wanted;
	}

	filters() {
		const all = { store: this.store };
		for (const [name] of fields)
			all[name] = this.parameters.getAll(name);
		return all;
	}

	/* The next older page. */
	async load() {
		this.more.disabled = true;
		try {
			const page = await get(`/api/events${query({
				...this.filters(), order: 'desc', limit: PAGE, before: this.next,
			})}`);
			if (!this.isOpen)
				return;
			this.newest ??= page.events[0]?.global_position ?? (await this.head());
			this.body.append(...page.events.map(event => eventRow(event, this.store)));
			this.next = page.next;
			this.more.hidden = page.next === null;
			if (this.following)
				return; /* it has said where it is */
			set(this.told, 'class', 'muted');
			say(this.told, this.body.children.length === 0 ? 'No event fits.'
				: `${count(this.body.children.length)} events, the newest first` +
					(page.next === null ? ': all that fit.' : '.'));
		} catch (error) {
			sayProblem(this.told, error);
		} finally {
			this.more.disabled = false;
		}
	}

	async head() {
		return (await get(`/api/store${query({ store: this.store })}`)).global_position;
	}

	toggle(isOn) {
		this.following?.abort();
		this.following = isOn ? new AbortController() : null;
		if (isOn)
			this.run(this.following.signal);
		else
			say(this.told, 'No longer followed.');
	}

	/* Streams, or asks where the daemon has none; after a failure it goes on behind the last one. */
	async run(signal) {
		while (!signal.aborted) {
			try {
				this.newest ??= await this.head();
				set(this.told, 'class', 'muted');
				say(this.told, `Following behind position ${count(this.newest)}.`);
				if (this.canStream())
					await this.stream(signal);
				else
					await this.poll();
			} catch (error) {
				if (signal.aborted)
					return;
				sayProblem(this.told, error);
			}
			await new Promise(resolve => setTimeout(resolve, REST_MS));
		}
	}

	/* A stream has no bounds of time. */
	canStream() {
		return model.gets.has('/api/events/stream') && !this.parameters.get('since') && !this.parameters.get('until');
	}

	async stream(signal) {
		const path = `/api/events/stream${query({ ...this.filters(), after: this.newest })}`;
		for await (const said of listen(path, signal)) {
			const event = parseExactly(said.data);
			if (event.global_position)
				this.add([event]);
		}
	}

	async poll() {
		const page = await get(`/api/events${query({ ...this.filters(), after: this.newest, limit: PAGE })}`);
		this.add(page.events);
	}

	add(events) {
		for (const event of events) {
			if (event.global_position <= this.newest)
				continue;
			this.newest = event.global_position;
			const line = eventRow(event, this.store);
			line.classList.add('new');
			this.body.prepend(line);
		}
		while (this.body.children.length > SHOWN_MAX) {
			this.body.lastElementChild.remove();
			this.more.hidden = true;
		}
		if (events.length > 0)
			say(this.told, `Following behind position ${count(this.newest)}.`);
	}

	update() {}

	close() {
		this.isOpen = false;
		this.following?.abort();
	}
}

/* ---- A stream -------------------------------------------------------------------------------- */

export class Stream {
	constructor(type, id, parameters) {
		this.type = type;
		this.id = id;
		this.parameters = parameters;
		this.title = `${type}/${id}`;
		this.isOpen = true;
		this.next = null;
		this.list = el('ol', { class: 'versions' });
		this.told = el('p', { class: 'muted' }, 'Asking the daemon …');
		this.more = el('button', { type: 'button', hidden: true, onclick: () => this.load() }, 'Show later versions');
		this.node = [el('h1', { tabindex: '-1', class: 'long' }, this.title), this.told, this.list, el('p', null, this.more)];
		whenLoaded(() => this.load());
	}

	async load() {
		const store = storeOrFirst(this.parameters);
		try {
			const page = await get(`/api/streams/${encodeURIComponent(this.type)}/${encodeURIComponent(this.id)}` +
				query({ store, limit: PAGE, after: this.next }), true);
			if (!this.isOpen)
				return;
			say(this.told, `Version ${count(page.aggregate_version)}, in the order in which its events were stored.`);
			this.list.append(...page.events.map(event => el('li', { value: event.aggregate_version }, event.error
				? el('p', { class: 'bad' }, event.error)
				: el('details', null,
					el('summary', null, el('strong', null, `Version ${event.aggregate_version}`), ` ${event.event_type} `,
						el('span', { class: 'muted' }, time(event.occurred_at))),
					el('p', null, el('a', { href: link(['events', event.event_id], { store }), class: 'id' },
						event.event_id), `, position ${count(event.global_position)}`),
					json(event.payload)))));
			this.next = page.next;
			this.more.hidden = page.next === null;
		} catch (error) {
			sayProblem(this.told, error);
		}
	}

	update() {}

	close() {
		this.isOpen = false;
	}
}

/* ---- An event -------------------------------------------------------------------------------- */

export class EventDetail {
	constructor(id, parameters) {
		this.id = id;
		this.title = `Event ${id}`;
		this.parameters = parameters;
		this.isOpen = true;
		this.content = el('div', null, el('p', null, 'Asking the daemon …'));
		this.node = [el('h1', { tabindex: '-1', class: 'long' }, this.title), this.content];
		whenLoaded(() => this.load());
	}

	async load() {
		const store = storeOrFirst(this.parameters);
		try {
			const event = await get(`/api/events/${encodeURIComponent(this.id)}${query({ store })}`, true);
			if (this.isOpen)
				this.show(event, store);
		} catch (error) {
			const told = el('p');
			sayProblem(told, error);
			this.content.replaceChildren(told);
		}
	}

	show(event, store) {
		const near = event.global_position;
		this.content.replaceChildren(
			facts([
				['Type', `${event.event_type}, version ${event.event_version}`],
				['Stream', streamLink(event, store)],
				['Version in it', count(event.aggregate_version)],
				['Position', count(near)],
				['Occurred', time(event.occurred_at)],
				['Stored', time(event.stored_at)],
				['Tenant', event.tenant_id], ['Actor', event.actor_id],
				['Caused by', event.causation_id && el('a', {
					href: link(['events', event.causation_id], { store }), class: 'id',
				}, event.causation_id)],
				['Correlation', event.correlation_id && el('a', {
					href: link(['correlations', event.correlation_id], { store, near }), class: 'id',
				}, event.correlation_id)],
			]),
			el('h2', null, 'Payload'), json(event.payload),
			el('h2', null, 'The whole event'),
			el('details', null, el('summary', null, 'JSON'), json(event)));
	}

	update() {}

	close() {
		this.isOpen = false;
	}
}

/* ---- A correlation --------------------------------------------------------------------------- */

const REACH = 1000;

/** Events of one correlation: the feed is read around one of them, further when it is asked for. */
export class Related {
	constructor(id, parameters) {
		this.id = id;
		this.title = `Correlation ${id}`;
		this.parameters = parameters;
		this.isOpen = true;
		this.found = new Map();
		this.low = this.high = Number(parameters.get('near')) || 0;
		this.told = el('p', { class: 'muted' }, 'Asking the daemon …');
		this.list = el('div');
		this.more = el('button', { type: 'button', onclick: () => this.load() }, 'Look further');
		this.node = [el('h1', { tabindex: '-1', class: 'long' }, this.title), this.told, this.list, el('p', null, this.more)];
		whenLoaded(() => this.load());
	}

	async load() {
		this.store = storeOrFirst(this.parameters);
		this.more.disabled = true;
		try {
			const [older, newer] = await Promise.all([
				get(`/api/events${query({ store: this.store, order: 'desc', before: this.low + 1, limit: REACH })}`),
				get(`/api/events${query({ store: this.store, after: this.high, limit: REACH })}`),
			]);
			for (const event of [...older.events, ...newer.events])
				if (event.correlation_id === this.id)
					this.found.set(event.global_position, event);
			this.low = older.next === null ? 0 : older.next - 1;
			this.high = newer.events.at(-1)?.global_position ?? this.high;
			if (this.isOpen)
				this.show(older.next === null && newer.next === null);
		} catch (error) {
			sayProblem(this.told, error);
		}
		this.more.disabled = false;
	}

	show(isAll) {
		const columns = ['Position', 'Stored', 'Type', 'Stream', 'Event', 'Caused by'];
		const events = [...this.found.values()].sort((a, b) => a.global_position - b.global_position);
		this.more.hidden = isAll;
		say(this.told, `${count(events.length)} events, in order; looked at ` +
			(isAll ? 'the whole feed.' : `positions ${count(this.low + 1)} to ${count(this.high)}.`));
		this.list.replaceChildren(table('Events of this correlation', columns, events.map(event => row(columns, [
			count(event.global_position), time(event.stored_at), event.event_type, streamLink(event, this.store),
			el('a', { href: link(['events', event.event_id], { store: this.store }), class: 'id' }, event.event_id),
			event.causation_id ? el('a', {
				href: link(['events', event.causation_id], { store: this.store }), class: 'id',
			}, event.causation_id) : '–',
		]))));
	}

	update() {}

	close() {
		this.isOpen = false;
	}
}

/* ---- The journal ----------------------------------------------------------------------------- */

export class Journal {
	constructor(parameters) {
		this.title = 'Journal';
		this.parameters = parameters;
		this.isOpen = true;
		this.lookedAt = 0;
		this.form = el('div');
		this.content = el('div', null, el('p', null, 'Asking the daemon …'));
		this.node = [el('h1', { tabindex: '-1' }, 'Journal'),
			el('p', { class: 'muted' }, 'What persons did to subscriptions, the newest first.'), this.form, this.content];
		whenLoaded(() => this.begin());
	}

	begin() {
		this.store = storeOrFirst(this.parameters);
		const chosen = storeField(this.store);
		chosen.addEventListener('change', event => { location.hash = link(['journal'], { store: event.target.value }); });
		this.form.replaceChildren(el('form', { class: 'filters', 'aria-label': 'Journal' }, chosen));
		this.load();
	}

	async load() {
		this.lookedAt = Date.now();
		try {
			const { journal } = await get(`/api/journal${query({ store: this.store, limit: 200 })}`);
			const key = JSON.stringify(journal);
			if (!this.isOpen || key === this.key)
				return;
			this.key = key;
			this.show(journal);
		} catch (error) {
			if (error instanceof Problem) {
				const told = el('p');
				sayProblem(told, error);
				this.content.replaceChildren(told);
			}
		}
	}

	show(journal) {
		const columns = ['When', 'Who', 'Did', 'Subscription', 'Detail'];
		this.content.replaceChildren(journal.length === 0 ? el('p', null, 'Nothing yet.')
			: table('Journal', columns, journal.map(one => row(columns, [
				time(one.at), one.host ? `${one.who} on ${one.host}` : one.who, words(one.act),
				one.projection_name, one.detail ?? '',
			]))));
	}

	update() {
		if (this.store !== undefined && Date.now() - this.lookedAt > 3000)
			this.load();
	}

	close() {
		this.isOpen = false;
	}
}
