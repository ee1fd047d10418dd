/* SPDX-License-Identifier: Apache-2.0 */
/* The first page: how far each store is, and a row for each subscription. */
import { Progress, RateChart, Sparkline, State } from './chart.js';
import { el, field, say, set } from './dom.js';
import { count, link, rate, seconds, words } from './format.js';
import { isWell, lagSeconds, model, storeOf } from './model.js';

const COLUMNS = ['Subscription', 'Position', 'Behind', 'Events a second', 'Errors', 'Dead letters', 'Breakers',
	'Runs'];

/* ---- A store --------------------------------------------------------------------------------- */

class StorePanel {
	constructor(store) {
		this.head = el('strong');
		this.rates = el('span', { class: 'muted' });
		this.problem = el('p', { class: 'bad' });
		this.chart = new RateChart();
		this.node = el('section', { class: 'panel store', 'aria-label': `Store ${store.name}` },
			el('div', null,
				el('h2', null, store.name ? `Store ${store.name}` : 'Store'),
				this.url = el('p', { class: 'muted url' }),
				el('p', null, 'Head at position ', this.head),
				el('p', null, this.now = el('strong'), ' events a second'), this.rates, this.problem),
			this.chart.node);
	}

	update(store) {
		say(this.url, store.url);
		say(this.head, count(store.head));
		say(this.now, rate(store.rates?.['10'] ?? null));
		say(this.rates, store.rates
			? `last second ${rate(store.rates['1'])}, last minute ${rate(store.rates['60'])}` : '');
		say(this.problem, store.isOpen ? store.error : `not open: ${store.error ?? 'not yet'}`);
		this.problem.hidden = store.isOpen && !store.error;
		this.chart.update(store.samples);
	}
}

/* ---- A subscription -------------------------------------------------------------------------- */

function breakers(one) {
	const states = [['handler', one.handlerBreaker], ['databases', one.infraBreaker]].filter(([, state]) => state);
	if (states.length === 0)
		return 'none';
	const unusual = states.filter(([, state]) => state !== 'closed');
	return unusual.length === 0 ? 'closed' : unusual.map(([what, state]) => `${what} ${words(state)}`).join(', ');
}

/** A fact among the evidence of a cause; the API has them by name. */
function evidence(one, key) {
	return one.why?.evidence?.[key] ?? null;
}

export function runsWhere(one) {
	if (one.standby) {
		const host = evidence(one, 'host'), pid = evidence(one, 'pid');
		return `elsewhere${host ? `, on ${host}` : ''}${pid ? `, pid ${pid}` : ''}; stands by here`;
	}
	if (['stopped', 'error'].includes(one.state))
		return 'not running';
	return one.lanes ? `${one.lanes_owned} of ${one.lanes} lanes here` : 'here';
}

class Row {
	constructor(one) {
		this.state = new State();
		this.progress = new Progress();
		this.spark = new Sparkline();
		const cells = [
			[el('a', { href: link(['subscriptions', one.name], { store: one.store }) }, one.name), this.state.node],
			[this.progress.node, this.position = el('span')],
			[this.lag = el('span'), this.spark.node],
			this.rate = el('span'),
			this.errors = el('span'),
			this.letters = el('span'),
			this.breakers = el('span'),
			this.runs = el('span'),
		];
		this.why = el('td', { role: 'cell', colspan: COLUMNS.length, 'data-label': 'Why' });
		this.line = el('tr', { role: 'row' }, cells.map((cell, i) => i === 0
			? el('th', { role: 'rowheader', scope: 'row' }, cell)
			: el('td', { role: 'cell', 'data-label': COLUMNS[i] }, cell)));
		this.whyLine = el('tr', { role: 'row', class: 'why' }, this.why);
		this.nodes = [this.line, this.whyLine];
	}

	updateLetters(one) {
		const shown = count(one.deadLetters);
		if (this.shownLetters === shown)
			return;
		this.shownLetters = shown;
		this.letters.replaceChildren(one.deadLetters > 0 ? el('a', {
			class: 'bad', href: link(['dead-letters'], { store: one.store, projection: one.name }),
			'aria-label': `${shown} dead letters of ${one.name}`,
		}, shown) : shown);
	}

	update(one) {
		const head = storeOf(one).head;
		this.state.update(one);
		this.progress.update(one.position, head);
		say(this.position, head === null ? count(one.position) : `${count(one.position)} of ${count(head)}`);
		this.spark.update(one.lags);
		const waited = lagSeconds(one);
		say(this.lag, one.lag_events === null ? 'not known' : one.lag_events === 0 ? 'nothing'
			: `${count(one.lag_events)} events${waited === null ? '' : `, ${seconds(waited)}`}`);
		say(this.rate, rate(one.rate));
		say(this.errors, one.errorRate > 0 ? `${count(one.events_failed)}, ${rate(one.errorRate)} a minute`
			: count(one.events_failed));
		set(this.errors, 'class', one.events_failed > 0 ? 'warn' : null);
		this.updateLetters(one);
		say(this.breakers, breakers(one));
		set(this.breakers, 'class', /open/.test(this.breakers.textContent) ? 'bad' : null);
		say(this.runs, runsWhere(one));

		const isExplained = one.why && (one.why.cause !== 'live' || !one.message);
		const why = isExplained ? one.why.reason : isWell(one) ? '' : one.message ?? '';
		say(this.why, why);
		this.whyLine.hidden = why === '';
		set(this.whyLine, 'data-state', isWell(one) ? null : one.state);
	}
}

/* ---- The page -------------------------------------------------------------------------------- */

const orders = {
	'unwell first': (a, b) => isWell(a) - isWell(b) || (b.lag_events ?? 0) - (a.lag_events ?? 0) ||
		a.name.localeCompare(b.name),
	'by name': (a, b) => a.name.localeCompare(b.name),
	'most behind first': (a, b) => (b.lag_events ?? 0) - (a.lag_events ?? 0) || a.name.localeCompare(b.name),
};

export class Overview {
	constructor() {
		this.title = 'Subscriptions';
		this.panels = new Map();
		this.rows = new Map();
		this.stores = el('div', { class: 'stores' });
		this.summary = el('p', { class: 'summary' });
		this.filter = el('input', {
			type: 'search', id: 'filter', placeholder: 'part of a name', autocomplete: 'off',
			oninput: () => this.update(),
		});
		this.order = el('select', { id: 'order', onchange: () => this.update() },
			Object.keys(orders).map(name => el('option', null, name)));
		this.state = el('select', { id: 'state', onchange: () => this.update() },
			['all', 'unwell', 'live', 'catching up', 'paused', 'error', 'standing by', 'stopped', 'starting']
				.map(name => el('option', null, name)));
		this.body = el('tbody', { role: 'rowgroup' });
		this.node = [
			el('h1', { tabindex: '-1' }, 'Subscriptions'), this.stores,
			el('form', { class: 'filters', role: 'search', 'aria-label': 'Subscriptions', onsubmit: event => event.preventDefault() },
				field('Name', this.filter), field('State', this.state), field('Order', this.order)),
			this.summary,
			this.scroll = el('div', { class: 'scroll', role: 'region', tabindex: '0', 'aria-label': 'Table of subscriptions' },
				el('table', { class: 'subscriptions', role: 'table', 'aria-label': 'Subscriptions' },
					el('thead', { role: 'rowgroup' }, el('tr', { role: 'row' }, COLUMNS.map(
						column => el('th', { role: 'columnheader', scope: 'col' }, column)))),
					this.body)),
		];
	}

	isShown(one) {
		const state = this.state.value;
		const fits = state === 'all' || (state === 'unwell' ? !isWell(one)
			: state === 'standing by' ? one.standby : !one.standby && words(one.state) === state);
		return fits && one.name.toLowerCase().includes(this.filter.value.trim().toLowerCase());
	}

	updateStores() {
		for (const [name, panel] of this.panels)
			if (!model.stores.has(name)) {
				panel.node.remove();
				this.panels.delete(name);
			}
		for (const [name, store] of model.stores) {
			if (!this.panels.has(name)) {
				this.panels.set(name, new StorePanel(store));
				this.stores.append(this.panels.get(name).node);
			}
			this.panels.get(name).update(store);
		}
	}

	/* Rows stay where they are while one has the focus: nothing jumps away from under a hand. */
	place(shown) {
		const wanted = shown.flatMap(([key]) => this.rows.get(key).nodes);
		const isSame = wanted.length === this.body.children.length &&
			wanted.every((node, i) => this.body.children[i] === node);
		if (isSame)
			return;
		const focused = this.body.contains(document.activeElement) ? document.activeElement : null;
		this.body.replaceChildren(...wanted);
		focused?.focus({ preventScroll: true });
	}

	update() {
		this.updateStores();
		const all = [...model.subscriptions];
		const shown = all.filter(([, one]) => this.isShown(one))
			.sort(([, a], [, b]) => orders[this.order.value](a, b));
		for (const key of this.rows.keys())
			if (!model.subscriptions.has(key))
				this.rows.delete(key);
		for (const [key, one] of shown) {
			if (!this.rows.has(key))
				this.rows.set(key, new Row(one));
			this.rows.get(key).update(one);
		}
		this.place(shown);
		this.scroll.hidden = shown.length === 0;

		const unwell = all.filter(([, one]) => !isWell(one)).length;
		say(this.summary, !model.isLoaded ? 'Asking the daemon …'
			: all.length === 0 ? 'No subscription runs in this process.'
			: `${count(shown.length)} of ${count(all.length)} subscriptions, ` +
				(unwell ? `${count(unwell)} not well` : 'all well'));
	}

	close() {}
}
