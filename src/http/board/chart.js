/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures of numbers. What they show is also said in words beside them. */
import { el, set, svg } from './dom.js';
import { count, rate } from './format.js';
import { storedBetween } from './model.js';
import { now } from './api.js';

const SPAN_MS = 600000;
const BARS = 60;

/** Events per second over the last ten minutes, ten seconds a bar. */
export class RateChart {
	constructor() {
		this.path = svg('path', { class: 'area' });
		this.most = el('span', { class: 'most' });
		this.picture = svg('svg', {
			class: 'chart', viewBox: `0 0 ${BARS * 10} 100`, preserveAspectRatio: 'none', role: 'img',
		}, this.path);
		this.node = el('figure', { class: 'rate-chart' }, this.most, this.picture,
			el('figcaption', { 'aria-hidden': 'true' }, el('span', null, '10 min ago'), el('span', null, 'now')));
	}

	update(samples) {
		const width = SPAN_MS / BARS, end = now();
		const rates = Array.from({ length: BARS }, (_, i) => {
			const from = end - SPAN_MS + i * width;
			return storedBetween(samples, from, from + width) * 1000 / width;
		});
		const most = Math.max(...rates), scale = most > 0 ? 96 / most : 0;
		set(this.path, 'd', rates.map((one, i) => one > 0
			? `M${i * 10} 100V${(100 - Math.max(2, one * scale)).toFixed(1)}h9V100Z` : '').join(''));
		this.most.textContent = `at most ${rate(most)} a second`;
		set(this.picture, 'aria-label', `Events per second over the last ten minutes: at most ${rate(most)}, ` +
			`now ${rate(rates.at(-1))}`);
	}
}

/** How far behind, over the last ten minutes. */
export class Sparkline {
	constructor(className = 'spark') {
		this.line = svg('polyline', { 'vector-effect': 'non-scaling-stroke' });
		this.node = svg('svg', {
			class: className, viewBox: '0 0 600 100', preserveAspectRatio: 'none', role: 'img',
		}, this.line);
	}

	update(lags) {
		this.node.classList.toggle('flat', lags.every(([, lag]) => lag === 0));
		const end = now(), most = Math.max(1, ...lags.map(([, lag]) => lag));
		const points = lags.map(([at, lag]) =>
			`${Math.max(0, 600 - (end - at) / 1000).toFixed(0)},${(97 - 94 * lag / most).toFixed(1)}`);
		if (lags.length > 0)
			points.push(`600,${(97 - 94 * lags.at(-1)[1] / most).toFixed(1)}`);
		set(this.line, 'points', points.join(' '));
		set(this.node, 'aria-label', `Lag over the last ten minutes: at most ${count(Math.max(0, ...lags.map(([, lag]) => lag)))} events`);
	}
}

/** Where a position is, between the beginning of a feed and its head. */
export class Progress {
	constructor() {
		this.done = svg('rect', { class: 'done', width: 0, height: 10 });
		this.node = svg('svg', {
			class: 'progress', viewBox: '0 0 100 10', preserveAspectRatio: 'none', 'aria-hidden': 'true',
		}, svg('rect', { class: 'all', width: 100, height: 10 }), this.done);
	}

	update(position, head) {
		set(this.done, 'width', head > 0 ? Math.min(100, 100 * position / head).toFixed(2) : 0);
	}
}

const shapes = {
	live:        'M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2z',
	catching_up: 'M3 3l5 5-5 5zM9 3l5 5-5 5z',
	paused:      'M4 3h3v10H4zM9 3h3v10H9z',
	standby:     'M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zm0 3a3 3 0 1 1 0 6 3 3 0 0 1 0-6z',
	error:       'M4 2.6L8 6.6l4-4L13.4 4l-4 4 4 4-1.4 1.4-4-4-4 4L2.6 12l4-4-4-4z',
	stopped:     'M3 3h10v10H3z',
	starting:    'M2 7h3v3H2zM6.5 7h3v3h-3zM11 7h3v3h-3z',
};

/** A state as a shape and a word. */
export class State {
	constructor() {
		this.path = svg('path');
		this.word = el('span');
		this.node = el('span', { class: 'state' },
			svg('svg', { viewBox: '0 0 16 16', 'aria-hidden': 'true' }, this.path), this.word);
	}

	update(one) {
		const state = one.standby ? 'standby' : one.state;
		const isUnwell = state === 'live' && (one.health?.status ?? 'healthy') !== 'healthy';
		set(this.node, 'data-state', isUnwell ? 'unwell' : state);
		set(this.path, 'd', shapes[state] ?? shapes.starting);
		const word = state === 'standby' ? 'standing by' : state.replaceAll('_', ' ');
		this.word.textContent = isUnwell ? `${word}, ${one.health.status}` : word;
	}
}
