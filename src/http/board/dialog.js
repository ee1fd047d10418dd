/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to the person: they come as modal dialogs, and Escape is no. */
import { el, field } from './dom.js';

let number = 0;

/* Show a dialog with a form; the values of its fields, or null. */
function ask(title, text, fields, action, isDangerous) {
	const id = `dialog-${++number}`;
	const inputs = fields.map(one => el('input', {
		name: one.name, id: `${id}-${one.name}`, type: one.type || 'text', value: one.value,
		required: one.required, maxlength: one.most, autocomplete: 'off', spellcheck: 'false',
	}));
	const dialog = el('dialog', { 'aria-labelledby': `${id}-title`, 'aria-describedby': `${id}-text` },
		el('form', { method: 'dialog' },
			el('h2', { id: `${id}-title` }, title),
			el('div', { id: `${id}-text` }, [text].flat().map(line => el('p', null, line))),
			fields.map((one, i) => field(one.label, inputs[i])),
			el('div', { class: 'buttons' },
				el('button', { type: 'button', value: 'no', onclick: () => dialog.close('no') }, 'Cancel'),
				el('button', { type: 'submit', value: 'yes', class: isDangerous ? 'danger' : 'primary' }, action))));

	return new Promise(resolve => {
		dialog.addEventListener('close', () => {
			const values = Object.fromEntries(inputs.map(input => [input.name, input.value.trim()]));
			dialog.remove();
			resolve(dialog.returnValue === 'yes' ? values : null);
		});
		document.body.append(dialog);
		dialog.showModal();
	});
}

export async function askForToken(why) {
	const values = await ask('The daemon asks for a token', [
		`${why[0].toUpperCase()}${why.slice(1)}.`,
		'It is kept in this tab until that is closed, and sent to this daemon alone.',
	], [{ name: 'token', label: 'Token', type: 'password', required: true }], 'Use the token', false);
	return values && values.token;
}

/** Whether to do what has a consequence: `by` and what else the fields ask for, or null. */
export async function confirm({ title, consequence, action, isDangerous, fields = [] }) {
	const values = await ask(title, consequence, [...fields, {
		name: 'by', label: 'Your name, for the journal', value: sessionStorage.getItem('tidemark by') || '',
		most: 255,
	}], action, isDangerous);
	if (values?.by)
		sessionStorage.setItem('tidemark by', values.by);
	return values;
}
