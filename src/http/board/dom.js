/* SPDX-License-Identifier: Apache-2.0 */
/* Elements from data: whatever comes from outside becomes text, never markup. */

const SVG = 'http://www.w3.org/2000/svg';

function fill(node, attributes, children) {
	for (const [name, value] of Object.entries(attributes || {})) {
		if (value === null || value === undefined || value === false)
			continue;
		if (name.startsWith('on'))
			node.addEventListener(name.slice(2), value);
		else
			node.setAttribute(name, value === true ? '' : value);
	}
	const shown = children.flat(Infinity).filter(child => child !== null && child !== undefined && child !== false);
	node.append(...shown);
	return node;
}

/** An element; `onclick` and the like are listeners, children are nodes or texts. */
export function el(tag, attributes, ...children) {
	return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes, ...children) {
	return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** Say something else in an element, when it is something else. */
export function say(node, text) {
	const shown = text === null || text === undefined ? '' : String(text);
	if (node.textContent !== shown)
		node.textContent = shown;
}

export function set(node, name, value) {
	if (value === null || value === undefined || value === false)
		node.removeAttribute(name);
	else if (node.getAttribute(name) !== String(value))
		node.setAttribute(name, value);
}

/** A control under its label; `control` has an id. */
export function field(label, control) {
	return el('div', { class: 'field' }, el('label', { for: control.id }, label), control);
}

/** A list of terms; pairs without a value are left out. */
export function facts(pairs) {
	return el('dl', { class: 'facts' }, pairs
		.filter(([, value]) => value !== null && value !== undefined && value !== '')
		.map(([term, value]) => el('div', null, el('dt', null, term), el('dd', null, value))));
}

/**
 * A table that becomes a list of cards where there is no room. The roles are written out, since
 * layout by a grid takes those of the elements away.
 */
export function table(label, columns, rows) {
	const head = el('tr', { role: 'row' }, columns.map(
		column => el('th', { role: 'columnheader', scope: 'col' }, column)));
	const body = el('tbody', { role: 'rowgroup' }, rows);
	return el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': label },
		el('table', { role: 'table', 'aria-label': label },
			el('thead', { role: 'rowgroup' }, head), body));
}

export function row(columns, cells, attributes) {
	return el('tr', { role: 'row', ...attributes }, cells.map((cell, i) => el('td', {
		role: 'cell', 'data-label': columns[i],
	}, cell)));
}

/** JSON to look at, indented. */
export function json(value) {
	return el('pre', { class: 'json', tabindex: '0', role: 'region', 'aria-label': 'JSON' },
		typeof value === 'string' ? value : JSON.stringify(value, null, 2));
}

/** Told to whoever listens, and shown for a while. */
let forget = 0;
export function tell(text, isBad) {
	const told = document.getElementById('told');
	told.replaceChildren(el('p', { class: isBad ? 'bad' : 'good' }, text));
	clearTimeout(forget);
	forget = setTimeout(() => told.replaceChildren(), isBad ? 15000 : 6000);
}
