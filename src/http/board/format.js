/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers, times and addresses as people read them. */

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });
const stamp = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' });

export function count(value) {
	return value === null || value === undefined ? '–' : whole.format(value);
}

export function rate(value) {
	if (value === null || value === undefined)
		return '–';
	return value >= 100 ? whole.format(value) : short.format(value);
}

export function seconds(value) {
	if (value === null || value === undefined)
		return '–';
	if (value < 60)
		return `${short.format(Math.max(0, value))} s`;
	if (value < 3600)
		return `${whole.format(value / 60)} min`;
	if (value < 172800)
		return `${short.format(value / 3600)} h`;
	return `${short.format(value / 86400)} d`;
}

export function time(text) {
	const date = new Date(text);
	return text && !Number.isNaN(date.getTime()) ? stamp.format(date) : text || '–';
}

/** `catching_up` as words. */
export function words(name) {
	return String(name ?? '').replaceAll('_', ' ');
}

/** The query of an address: without what is empty, lists as several. */
export function query(parameters) {
	const pairs = new URLSearchParams();
	for (const [name, value] of Object.entries(parameters))
		for (const one of Array.isArray(value) ? value : [value])
			if (one !== null && one !== undefined && one !== '')
				pairs.append(name, one);
	const text = pairs.toString();
	return text ? `?${text}` : '';
}

export function link(parts, parameters = {}) {
	return `#/${parts.map(encodeURIComponent).join('/')}${query(parameters)}`;
}
