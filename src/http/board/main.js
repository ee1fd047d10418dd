/* SPDX-License-Identifier: Apache-2.0 */
/* The page: which part of it is shown, by the hash of its address, and how the connection is. */
import { allowAsking, forgetToken, hasToken } from './api.js';
import { el, say } from './dom.js';
import { EventDetail, Events, Journal, Related, Stream } from './events.js';
import { Letters } from './letters.js';
import { begin, changes, model, refresh } from './model.js';
import { Overview } from './overview.js';
import { Subscription } from './subscription.js';

const byId = id => document.getElementById(id);
const main = byId('main');
let view = null;

/* ---- Which part ------------------------------------------------------------------------------ */

function pageOf(parts, parameters) {
	switch (`${parts[0] ?? ''} ${parts.length}`) {
	case 'subscriptions 2': return new Subscription(parts[1], parameters);
	case 'events 1': return new Events(parameters);
	case 'events 2': return new EventDetail(parts[1], parameters);
	case 'correlations 2': return new Related(parts[1], parameters);
	case 'streams 3': return new Stream(parts[1], parts[2], parameters);
	case 'dead-letters 1': return new Letters(parameters);
	case 'journal 1': return new Journal(parameters);
	default: return new Overview();
	}
}

function decode(part) {
	try {
		return decodeURIComponent(part);
	} catch {
		return part;
	}
}

function show() {
	const [path, search = ''] = location.hash.replace(/^#\/?/, '').split('?');
	const parts = path.split('/').filter(part => part !== '').map(decode);
	const isFirst = view === null;
	view?.close();
	view = pageOf(parts, new URLSearchParams(search));
	main.replaceChildren(...[view.node].flat());
	document.title = `${view.title} · Tidemark`;
	for (const link of byId('pages').children) {
		const page = parts[0] ?? '';
		const isIt = link.dataset.page === page || (link.dataset.page === '' && page === 'subscriptions') ||
			(link.dataset.page === 'events' && ['streams', 'correlations'].includes(page));
		if (isIt)
			link.setAttribute('aria-current', 'page');
		else
			link.removeAttribute('aria-current');
	}
	view.update();
	if (!isFirst) {
		window.scrollTo(0, 0);
		main.querySelector('h1')?.focus({ preventScroll: true });
	}
}

/* ---- The connection -------------------------------------------------------------------------- */

let wasLost = false, backSince = 0;

function banner(...content) {
	const text = content.map(one => one.textContent ?? one).join('');
	if (byId('banner').textContent !== text)
		byId('banner').replaceChildren(...content);
}

function showConnection() {
	document.body.dataset.connection = model.isLost ? 'lost' : model.isLoaded ? 'live' : 'none';
	say(byId('connection'), model.isLost ? 'connection lost' : model.isLoaded ? 'live' : 'connecting');
	byId('token-forget').hidden = !hasToken();
	if (model.isLost)
		banner(el('p', { class: 'bad' }, `The connection was lost at ${new Date(model.since).toLocaleTimeString('en-GB')}: ` +
			'what is shown is how things were then. It is tried again every second.'));
	else if (model.problem?.status === 401)
		banner(el('p', { class: 'bad' }, 'Nothing is shown without a token. ',
			el('button', { type: 'button', onclick: () => { allowAsking(); refresh(); } }, 'Give a token')));
	else if (model.problem)
		banner(el('p', { class: 'bad' }, `The daemon does not tell: ${model.problem.message}`));
	else if (wasLost)
		banner(el('p', { class: 'good' }, 'The connection is back, and all is as it is now.'));
	else if (Date.now() - backSince > 5000)
		banner();
	if (wasLost && !model.isLost)
		backSince = Date.now();
	wasLost = model.isLost;
}
function showLetters() {
	const letters = [...model.subscriptions.values()].reduce((sum, one) => sum + (one.deadLetters ?? 0), 0);
	say(byId('letters-count'), letters);
	byId('letters-count').hidden = letters === 0;
}

/* ---- Begin ----------------------------------------------------------------------------------- */

byId('skip').addEventListener('click', event => {
	event.preventDefault();
	main.focus();
});
byId('token-forget').addEventListener('click', () => {
	forgetToken();
	showConnection();
	refresh();
});
window.addEventListener('hashchange', show);
changes.addEventListener('tick', () => {
	showConnection();
	showLetters();
	view.update();
});
show();
begin();
