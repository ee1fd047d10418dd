/* SPDX-License-Identifier: Apache-2.0 */
/* Dead letters: what failed, and retry, resolve, discard for one or many. */
import { allowAsking, get, post, Problem } from './api.js';
import { confirm } from './dialog.js';
import { el, field, json, say, set, tell } from './dom.js';
import { count, link, query, time, words } from './format.js';
import { changes, model, refresh } from './model.js';

const COLUMNS = ['Chosen', 'Id', 'Subscription', 'Event', 'Error', 'Attempts', 'Last failed', 'Status'];
const LOOK_MS = 2000;

const acts = [
	{
		name: 'retry', label: 'Retry', done: 'asked to be retried',
		consequence: what => [
			`The events of ${what} are delivered once more by who owns the subscription.`,
			'Events that came later have been handled meanwhile, so each comes out of its order.',
		],
	},
	{
		name: 'resolve', label: 'Resolve', done: 'resolved',
		consequence: what => [`${what} count as dealt with: their events are never delivered again, the entries stay.`],
	},
	{
		name: 'discard', label: 'Discard', done: 'discarded', isDangerous: true,
		consequence: what => [
			`${what} are deleted for ever, with their errors: nothing tells any more that these events were not handled.`,
		],
	},
];

function plural(number) {
	return number === 1 ? '1 dead letter' : `${count(number)} dead letters`;
}

/* ---- A row ----------------------------------------------------------------------------------- */

class Letter {
	constructor(letter, store, onChoice) {
		this.key = JSON.stringify(letter);
		this.id = letter.id;
		this.box = el('input', {
			type: 'checkbox', 'aria-label': `Choose dead letter ${letter.id}`, onchange: onChoice,
			disabled: letter.status === 'resolved',
		});
		const event = el('a', { href: link(['events', letter.event_id], { store }) }, letter.event_type);
		const error = [el('span', { class: 'error-text' }, letter.error_message),
			el('details', null, el('summary', null, 'Event and trace'), json(letter.event_data),
				letter.error_stacktrace ? json(letter.error_stacktrace) : null)];
		const status = letter.parked_behind ? `${letter.status}, parked behind ${letter.parked_behind}`
			: letter.resolved_by ? `${letter.status} by ${letter.resolved_by}` : letter.status;
		const cells = [this.box, count(letter.id),
			el('a', { href: link(['subscriptions', letter.projection_name], { store }) }, letter.projection_name),
			event, error, count(letter.retry_count), time(letter.last_failed_at), words(status)];
		this.node = el('tr', { role: 'row' }, cells.map((cell, i) =>
			el('td', { role: 'cell', 'data-label': COLUMNS[i] }, cell)));
	}
}

/* ---- The page -------------------------------------------------------------------------------- */

export class Letters {
	constructor(parameters) {
		this.title = 'Dead letters';
		this.parameters = parameters;
		this.isOpen = true;
		this.lookedAt = 0;
		this.after = [0];
		this.letters = new Map();
		this.form = el('div');
		this.told = el('p', { class: 'muted' }, 'Asking the daemon …');
		this.all = el('input', { type: 'checkbox', id: 'choose-all', onchange: () => this.chooseAll() });
		this.buttons = acts.map(act => el('button', {
			type: 'button', class: act.isDangerous ? 'danger' : null, disabled: true, onclick: () => this.act(act),
		}, act.label));
		this.body = el('tbody', { role: 'rowgroup' });
		this.back = el('button', { type: 'button', hidden: true, onclick: () => this.turn(false) }, 'Page before');
		this.next = el('button', { type: 'button', hidden: true, onclick: () => this.turn(true) }, 'Next page');
		this.tools = el('div', { class: 'buttons bulk', role: 'group', 'aria-label': 'What is chosen' },
			el('label', { class: 'inline', for: 'choose-all' }, this.all, 'All of this page'),
			this.chosenText = el('span', { class: 'muted' }, 'none chosen'), this.buttons);
		this.scroll = el('div', { class: 'scroll', role: 'region', tabindex: '0', 'aria-label': 'Table of dead letters' },
			el('table', { role: 'table', 'aria-label': 'Dead letters' },
				el('thead', { role: 'rowgroup' }, el('tr', { role: 'row' },
					COLUMNS.map(column => el('th', { role: 'columnheader', scope: 'col' }, column)))),
				this.body));
		this.node = [el('h1', { tabindex: '-1' }, 'Dead letters'), this.form, this.told, this.tools, this.scroll,
			el('p', { class: 'buttons' }, this.back, this.next)];
		if (model.isLoaded)
			this.begin();
		else
			changes.addEventListener('tick', () => this.begin(), { once: true });
	}

	begin() {
		if (!this.isOpen)
			return;
		const stores = [...model.stores.keys()].filter(name => name !== '');
		this.store = this.parameters.get('store') || stores[0] || '';
		const names = [...new Set([...model.subscriptions.values()]
			.filter(one => (one.store ?? '') === this.store).map(one => one.name))].sort();
		const chosen = this.parameters.get('projection') ?? '';
		if (chosen && !names.includes(chosen))
			names.push(chosen);
		const choice = (label, name, list, value) => field(label, el('select', { id: name, name }, list.map(
			([key, text = key]) => el('option', { value: key, selected: key === value }, text))));
		const storeField = choice('Store', 'store', stores.map(name => [name]), this.store);
		storeField.hidden = stores.length < 2;
		this.form.replaceChildren(el('form', {
			class: 'filters', role: 'search', 'aria-label': 'Dead letters', onchange: event => this.search(event),
			onsubmit: event => event.preventDefault(),
		},
		storeField, choice('Subscription', 'projection', [['', 'all'], ...names.map(name => [name])], chosen),
		choice('Status', 'status', [['failed'], ['retrying'], ['resolved'], ['any']],
			this.parameters.get('status') ?? 'failed')));
		this.load();
	}

	search(event) {
		location.hash = link(['dead-letters'], Object.fromEntries(new FormData(event.currentTarget)));
	}

	async load() {
		this.lookedAt = Date.now();
		try {
			const page = await get(`/api/dead-letters${query({
				store: this.store, projection: this.parameters.get('projection'),
				status: this.parameters.get('status'), after: this.after.at(-1), limit: 100,
			})}`, true);
			if (this.isOpen)
				this.show(page);
		} catch (error) {
			if (!(error instanceof Problem))
				return;
			set(this.told, 'class', 'bad');
			say(this.told, error.message);
		}
	}

	/* Rows that are as they were stay, with what is chosen and opened in them. */
	show(page) {
		const known = new Map();
		for (const letter of page.dead_letters) {
			const old = this.letters.get(letter.id);
			const isSame = old && old.key === JSON.stringify(letter);
			const one = isSame ? old : new Letter(letter, this.store, () => this.showChoice());
			one.box.checked = Boolean(old?.box.checked) && !one.box.disabled;
			known.set(letter.id, one);
		}
		const nodes = [...known.values()].map(one => one.node);
		const isSame = nodes.length === this.body.children.length &&
			nodes.every((node, i) => node === this.body.children[i]);
		if (!isSame)
			this.body.replaceChildren(...nodes);
		this.letters = known;
		this.nextAfter = page.next;
		this.next.hidden = page.next === null;
		this.back.hidden = this.after.length === 1;
		this.tools.hidden = this.scroll.hidden = nodes.length === 0;
		set(this.told, 'class', 'muted');
		say(this.told, nodes.length === 0 ? 'There are none.' : `${plural(nodes.length)} on this page, the oldest first.`);
		this.showChoice();
	}

	turn(isForward) {
		if (isForward)
			this.after.push(this.nextAfter);
		else
			this.after.pop();
		this.load();
	}

	chosen() {
		return [...this.letters.values()].filter(one => one.box.checked);
	}

	chooseAll() {
		for (const one of this.letters.values())
			one.box.checked = this.all.checked && !one.box.disabled;
		this.showChoice();
	}

	showChoice() {
		const number = this.chosen().length;
		say(this.chosenText, number === 0 ? 'none chosen' : `${count(number)} chosen`);
		for (const button of this.buttons)
			button.disabled = number === 0;
		const free = [...this.letters.values()].filter(one => !one.box.disabled).length;
		this.all.checked = number > 0 && number === free;
		this.all.indeterminate = number > 0 && number < free;
	}

	async act(act) {
		const chosen = this.chosen();
		allowAsking();
		const values = await confirm({
			title: `${act.label} ${plural(chosen.length)}?`,
			consequence: act.consequence(chosen.length === 1 ? `dead letter ${chosen[0].id}` : plural(chosen.length)),
			action: act.label, isDangerous: act.isDangerous,
		});
		if (!values)
			return;
		const body = values.by ? { by: values.by } : {};
		let done = 0, failure = null;
		for (const one of chosen) {
			try {
				await post(`/api/dead-letters/${one.id}/${act.name}${query({ store: this.store })}`, body);
				done++;
				one.box.checked = false;
			} catch (error) {
				failure ??= `dead letter ${one.id}: ${error.message}`;
				if (error.status === 401 || error.status === 403)
					break;
			}
		}
		if (failure)
			tell(`${plural(done)} ${act.done}, not all: ${failure}`, true);
		else
			tell(`${plural(done)} ${act.done}`);
		refresh();
		this.load();
	}

	update() {
		if (this.store !== undefined && Date.now() - this.lookedAt > LOOK_MS)
			this.load();
	}

	close() {
		this.isOpen = false;
	}
}
