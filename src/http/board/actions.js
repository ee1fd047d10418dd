/* SPDX-License-Identifier: Apache-2.0 */
/* What a person can do to a subscription: each names its consequence before it is done. */
import { allowAsking, post } from './api.js';
import { confirm } from './dialog.js';
import { el, tell } from './dom.js';
import { count, query } from './format.js';
import { model, refresh } from './model.js';

const note = { name: 'note', label: 'Why (a note that others see)', most: 500 };

/* can: whether it makes sense now. */
const actions = [
	{
		name: 'pause', label: 'Pause', can: one => one.state !== 'paused' || !one.paused_by,
		consequence: one => [
			`'${one.name}' is handed no more events, in any process and after any restart, until somebody resumes it.`,
			'Events are stored as before, and it falls behind by them.',
		],
		fields: [note], told: 'is being paused',
	},
	{
		name: 'resume', label: 'Resume', can: one => one.state === 'paused' || one.paused_by,
		consequence: one => [
			`'${one.name}' goes on behind position ${count(one.position)}` +
			(one.lag_events ? `: ${count(one.lag_events)} events wait for it.` : '.'),
		],
		told: 'is being resumed',
	},
	{
		name: 'restart', label: 'Restart', can: one => one.state === 'error', hasNoBy: true,
		consequence: one => [
			`'${one.name}' is started again behind position ${count(one.position)}.`,
			'Where the cause of its error is not mended, it ends in the same way.',
		],
		told: 'is being restarted',
	},
	{
		name: 'reset-breakers', label: 'Close breakers', hasNoBy: true,
		can: one => [one.handlerBreaker, one.infraBreaker].some(state => state && state !== 'closed'),
		consequence: one => [
			`The circuit breakers of '${one.name}' are closed: its handler and its databases are called again at once, ` +
			'although they failed several times in a row.',
		],
		told: 'has its breakers closed',
	},
	{
		name: 'reset', label: 'Reset', isDangerous: true, can: one => one.canRebuild === false,
		consequence: one => [
			`'${one.name}' forgets its position, ${count(one.position)}, and begins where a new one does: ` +
			'events are handled once more, and what its handler did for them is done again.',
			'Its unresolved dead letters are deleted.',
		],
		told: 'is being reset',
	},
	{
		name: 'rebuild', label: 'Rebuild', isDangerous: true, can: one => one.canRebuild === true,
		consequence: one => [
			`The read model of '${one.name}' is emptied, and made anew from ${count(one.position)} events.`,
			'Until it has come to the end again, who reads it sees less than there is.',
			'Its unresolved dead letters are deleted: their events come once more.',
		],
		told: 'is being rebuilt',
	},
];

async function act(action, one) {
	allowAsking();
	const values = await confirm({
		title: `${action.label} '${one.name}'?`, consequence: action.consequence(one), action: action.label,
		isDangerous: action.isDangerous, fields: action.fields,
	});
	if (!values)
		return;
	const body = action.hasNoBy ? {}
		: Object.fromEntries(Object.entries(values).filter(([, value]) => value));
	try {
		await post(`/api/subscriptions/${encodeURIComponent(one.name)}/${action.name}${query({ store: one.store })}`, body);
		tell(`'${one.name}' ${action.told}`);
	} catch (error) {
		tell(`'${one.name}' was left as it is: ${error.message}`, true);
	}
	refresh();
}

/** The buttons of what this daemon can do; `update` shows those that make sense. */
export class Actions {
	constructor(one) {
		this.one = one;
		this.buttons = actions
			.map(action => [action, el('button', {
				type: 'button', class: action.isDangerous ? 'danger' : null,
				onclick: () => act(action, this.one),
			}, action.label)]);
		this.node = el('div', { class: 'buttons', role: 'group', 'aria-label': 'What can be done' },
			this.buttons.map(([, button]) => button));
	}

	update(one) {
		this.one = one;
		for (const [action, button] of this.buttons)
			button.hidden = !model.posts.has(`/api/subscriptions/{name}/${action.name}`) || !action.can(one);
	}
}
