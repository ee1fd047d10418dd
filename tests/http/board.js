/* SPDX-License-Identifier: Apache-2.0 */
/* The dashboard of a real daemon in a real browser: every control is used, and what changes beneath is seen. */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import {
	claim, Daemon, eventually, finish, importOrders, openBrowser, pictures, READ_TOKEN, same, sql, sqlText, tide, tideWith, TOKEN, write, writeCounts,
} from './rig.js';

const axeSource = fs.readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const URL_OF_STORE = 'sqlite:main.db';
const HOSTILE = '<img src=x onerror="window.hit=1"><script>window.hit=1</script>';

/* ---- A store and its daemon ------------------------------------------------------------------ */

const counts = name => `-- init:
CREATE TABLE IF NOT EXISTS ${name} (id TEXT PRIMARY KEY, events INTEGER NOT NULL);
-- on: *
INSERT INTO ${name} VALUES (:aggregate_id, 1) ON CONFLICT (id) DO UPDATE SET events = ${name}.events + 1;
-- reset:
DELETE FROM ${name};
`;
const fails = name => `-- init:
CREATE TABLE IF NOT EXISTS ${name} (id TEXT PRIMARY KEY, events INTEGER NOT NULL CHECK (events >= 0));
CREATE TABLE IF NOT EXISTS ${name}_mended (is_mended INTEGER NOT NULL);
-- on: OrderPaid
INSERT INTO ${name} SELECT :event_id, CASE WHEN EXISTS (SELECT * FROM ${name}_mended) THEN 1 ELSE -1 END;
-- reset:
DELETE FROM ${name};
`;

let stored = 0;
function append(number, more = {}) {
	let lines = '';
	for (let i = 0; i < number; i++) {
		stored++;
		lines += `${JSON.stringify({
			event_id: `name:event ${stored}`, event_type: stored % 30 === 0 ? 'OrderPaid' : 'OrderPlaced',
			aggregate_type: 'Order', aggregate_id: `name:order ${stored % 5}`,
			payload: { number: stored, text: HOSTILE }, ...more,
		})}\n`;
	}
	tideWith(lines, '--store', URL_OF_STORE, 'import');
}

const projection = (name, more = '') => `[projection ${name}]\nstore = main\nfile = ${name}.sql\n${more}`;
tide('--store', URL_OF_STORE, 'init');
append(299);
const cause = JSON.parse(tide('--store', URL_OF_STORE, '--json', 'read', '--limit', '1', '--after', '9').split('\n')[0]);
append(1, { causation_id: cause.event_id, correlation_id: cause.correlation_id, event_type: 'OrderShipped' });
write('token', TOKEN, 0o600);
write('read_token', READ_TOKEN, 0o600);
for (const name of ['counts', 'totals'])
	write(`${name}.sql`, counts(name));
for (const name of ['fails', 'stops'])
	write(`${name}.sql`, fails(name));
const configuration = '[daemon]\nhttp = ADDRESS\ntoken_file = token\nread_token_file = read_token\nlog_level = notice\n' +
	`[store main]\nurl = ${URL_OF_STORE}\n${projection('counts')}${projection('totals')}` +
	projection('fails', 'max_retries = 0\ncircuit_breaker_enabled = false\n') +
	projection('stops', 'max_retries = 0\non_error = stop\n') +
	'[projection handler]\nstore = main\ncommand = python3 handler.py\n';
write('handler.py', "import sys\nfor line in sys.stdin:\n    open('handled', 'a').write(line)\n    print('ok', flush=True)\n");
const daemon = new Daemon('tide', configuration);
await daemon.start();

/* ---- A page ---------------------------------------------------------------------------------- */

const browser = await openBrowser();
const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, reducedMotion: 'reduce' });
const page = await context.newPage();
page.setDefaultTimeout(15000);
const wrong = [];
page.on('pageerror', error => wrong.push(error.stack));
page.on('dialog', dialog => { wrong.push(`a dialog: ${dialog.message()}`); dialog.dismiss(); });
page.on('request', request => { if (!request.url().startsWith(daemon.url)) wrong.push(`asked elsewhere: ${request.url()}`); });

const go = async (hash, on = page) => {
	await on.goto('about:blank');
	await on.goto(`${daemon.url}/${hash}`);
};
const rowOf = name => page.locator('table.subscriptions tr', { has: page.getByRole('rowheader', { name }) });
const whyOf = name => page.locator('table.subscriptions tr.why', { hasText: `'${name}'` });
const sees = (locator, text) => eventually(async () => (await locator.allInnerTexts()).join('\n').includes(text), text);
const button = name => page.getByRole('button', { name, exact: true });
const inDialog = name => page.getByRole('dialog').getByRole('button', { name, exact: true });

/* Press a button of a subscription, and say yes to what it asks. */
async function press(name, consequence) {
	await button(name).click();
	await sees(page.getByRole('dialog'), consequence);
	await inDialog(name).click();
}

const claims = (name, run) => claim(name, run, page);

/* ---- What runs ------------------------------------------------------------------------------- */

await claims('the_first_page_shows_stores_and_subscriptions', async () => {
	await go('#/');
	await sees(rowOf('counts'), '300 of 300');
	await sees(rowOf('counts'), 'live');
	await sees(rowOf('stops'), 'error');
	await sees(whyOf('stops'), 'stopped');
	await sees(page.locator('.store'), 'Head at position 300');
	await sees(page.locator('.store'), 'sqlite:main.db');
	await eventually(() => page.evaluate(() => document.querySelector('.rate-chart path').getAttribute('d').length > 0),
		'the rate of the last ten minutes is drawn though the page is new');
	const label = await page.locator('.rate-chart svg').getAttribute('aria-label');
	if (!/at most [1-9]/.test(label))
		throw new Error(label);
	await sees(page.locator('#letters-count'), '9');
});

await claims('subscriptions_are_filtered_and_ordered', async () => {
	const names = () => page.getByRole('rowheader').locator('a').allInnerTexts();
	same(await names(), ['stops', 'counts', 'fails', 'handler', 'totals']);
	await page.getByLabel('Order').selectOption('by name');
	same(await names(), ['counts', 'fails', 'handler', 'stops', 'totals']);
	await page.getByLabel('Order').selectOption('most behind first');
	same((await names())[0], 'stops');
	await page.getByLabel('Name', { exact: true }).fill('TOT');
	same(await names(), ['totals']);
	await page.getByLabel('Name', { exact: true }).fill('');
	await page.getByLabel('State').selectOption('error');
	same(await names(), ['stops']);
	await page.getByLabel('State').selectOption('unwell');
	same(await names(), ['stops']);
	await page.getByLabel('State').selectOption('all');
	same((await names()).length, 5);
});

await claims('a_pause_by_the_command_line_is_seen_and_ends_on_the_page', async () => {
	tide('--store', URL_OF_STORE, 'pause', 'counts', '--note', `moving ${HOSTILE}`);
	await sees(rowOf('counts'), 'paused');
	await sees(whyOf('counts'), `moving ${HOSTILE}`);
	append(10);
	await sees(rowOf('counts'), '10 events');
	await sees(page.locator('.store'), 'Head at position 310');
	tide('--store', URL_OF_STORE, 'resume', 'counts');
	await sees(rowOf('counts'), '310 of 310');
	await sees(rowOf('counts'), 'nothing');
});

/* ---- What can be done ------------------------------------------------------------------------ */

await claims('a_change_asks_for_its_consequence_and_for_the_token', async () => {
	await page.getByRole('link', { name: 'totals', exact: true }).click();
	await sees(page.locator('main'), 'Read ahead');
	await button('Pause').click();
	await sees(page.getByRole('dialog'), 'in any process and after any restart');
	await page.keyboard.press('Escape');
	same(await page.evaluate(() => document.activeElement.textContent), 'Pause');

	await button('Pause').click();
	await page.getByLabel('Why (a note').fill('by a test');
	await page.getByLabel('Your name').fill('Ada');
	await inDialog('Pause').click();
	await sees(page.getByRole('dialog'), 'asks for a token');
	await page.getByLabel('Token', { exact: true }).fill('a token that is not the one');
	await inDialog('Use the token').click();
	await eventually(async () => await page.getByLabel('Token', { exact: true }).inputValue().catch(() => 'x') === '', 'it is asked for again');
	await page.getByLabel('Token', { exact: true }).fill(TOKEN);
	await inDialog('Use the token').click();
	await sees(page.locator('main'), "is paused by Ada");
	await sees(page.locator('main'), 'by a test');
	const kept = await page.evaluate(() => [Object.values(sessionStorage), localStorage.length, document.cookie]);
	same([kept[0].includes(TOKEN), kept[1], kept[2]], [true, 0, '']);
	if (!/Ada/.test(tide('--store', URL_OF_STORE, 'status')))
		throw new Error('status does not tell who paused it');
});

await claims('a_resume_names_where_it_goes_on', async () => {
	await press('Resume', 'goes on behind position 310');
	await sees(page.locator('main .state').first(), 'live');
	await eventually(async () => await button('Resume').count() === 0 || await button('Resume').isHidden(), 'it is not offered any more');
	await sees(page.locator('main'), 'What persons did');
	await eventually(async () => (await page.locator('main').innerText()).includes('resume'), 'the journal tells it');
});

await claims('what_ended_in_an_error_is_started_again', async () => {
	await go('#/subscriptions/stops?store=main');
	await sees(page.locator('main'), 'What to do: mend the cause');
	await sees(page.getByLabel('Recent errors').first(), 'CHECK constraint failed');
	await sees(page.getByLabel('Configuration in effect'), 'continue on error\nno');
	await press('Restart', 'ends in the same way');
	await eventually(() => daemon.text().split("ownership acquired name='stops'").length === 3, 'it began again');
	await sees(page.locator('main .state').first(), 'error');
	sql('main.db', 'INSERT INTO stops_mended VALUES (1)');
	await press('Restart', 'started again behind position');
	await sees(page.locator('main .state').first(), 'live');
});

await claims('a_rebuild_names_its_consequence_and_makes_the_read_model_anew', async () => {
	await go('#/subscriptions/totals?store=main');
	await sees(page.locator('main'), 'can rebuild');
	same(await button('Reset').count(), 0);
	sql('main.db', 'UPDATE totals SET events = 1000');
	await button('Rebuild').click();
	await sees(page.getByRole('dialog'), "The read model of 'totals' is emptied, and made anew from 310 events.");
	await sees(page.getByRole('dialog'), 'who reads it sees less than there is');
	await page.keyboard.press('Escape');
	same(sqlText('main.db', 'SELECT min(events) FROM totals'), '1000');
	await press('Rebuild', 'is emptied');
	await eventually(() => sqlText('main.db', 'SELECT sum(events) FROM totals') === '310', 'it is whole again');
	await sees(page.locator('main .state').first(), 'live');
	await sees(page.getByLabel('What persons did'), 'rebuild');
	await sees(page.getByLabel('What persons did'), 'Ada');
});

await claims('a_reset_has_a_command_handle_everything_again', async () => {
	const handled = () => fs.readFileSync('handled', 'utf8').split('\n').length - 1;
	await go('#/subscriptions/handler?store=main');
	await eventually(() => handled() === 310, 'it has handled everything');
	await press('Reset', "'handler' forgets its position, 310, and begins where a new one does");
	await eventually(() => handled() === 620, 'everything is handled again');
	await sees(page.getByLabel('What persons did'), 'reset');
});

/* ---- Events ---------------------------------------------------------------------------------- */

await claims('events_are_filtered_by_what_is_asked', async () => {
	await page.getByRole('link', { name: 'Events', exact: true }).click();
	await sees(page.locator('main'), '50 events, the newest first.');
	await button('Show older ones').click();
	await sees(page.locator('main'), '100 events, the newest first.');
	await page.getByLabel('Event types').fill('OrderPaid OrderShipped');
	await button('Show').click();
	await sees(page.locator('main'), '10 events, the newest first: all that fit.');
	await page.getByLabel('Aggregate id').fill('not a UUID');
	await button('Show').click();
	await sees(page.locator('main'), "aggregate_id 'not a UUID' is no UUID");
	await page.getByRole('link', { name: 'Without filters' }).click();
	await sees(page.locator('main'), '50 events');
});

await claims('new_events_are_followed_once_each', async () => {
	const isStreamed = page.waitForRequest(request => request.url().includes('/api/events/stream?'));
	await page.getByLabel('Follow').check();
	await isStreamed;
	await sees(page.locator('main'), 'Following behind position 310.');
	append(3);
	await sees(page.locator('main'), 'Following behind position 313.');
	append(2);
	await sees(page.locator('main'), 'Following behind position 315.');
	const shown = (await page.locator('tr.new td:first-child').allInnerTexts()).map(Number);
	same(shown, [315, 314, 313, 312, 311]);
	await page.getByLabel('Follow').uncheck();
	await sees(page.locator('main'), 'No longer followed.');
});

await claims('following_is_told_though_the_list_comes_later', async () => {
	let release;
	const isReleased = new Promise(resolve => { release = resolve; });
	await page.route(asked => asked.pathname === '/api/events', async route => {
		await isReleased;
		await route.continue();
	});
	await go('#/events');
	await page.getByLabel('Follow').check();
	await sees(page.locator('main'), 'Following behind position');
	release();
	await eventually(async () => await page.locator('main tbody tr').count() === 50, 'the list is there');
	await sees(page.locator('main'), 'Following behind position');
	await page.unrouteAll();
});

await claims('streams_causes_and_correlations_are_a_click_away', async () => {
	await go('#/events?store=main&type=OrderShipped');
	await page.getByRole('cell').getByRole('link').last().click();
	await sees(page.locator('main'), 'Caused by');
	await sees(page.locator('pre.json').first(), JSON.stringify(HOSTILE));
	await page.getByRole('link', { name: cause.correlation_id }).click();
	await sees(page.locator('main'), '2 events, in order');
	await page.getByRole('cell').getByRole('link', { name: cause.event_id }).first().click();
	await sees(page.getByRole('heading', { level: 1 }), cause.event_id);
	await page.getByText('JSON', { exact: true }).click();
	await sees(page.locator('pre.json').last(), '"global_position": 10');
	await page.getByRole('link', { name: /^Order\// }).click();
	await sees(page.locator('main'), 'Version 63');
	await page.getByText('Version 2', { exact: true }).click();
	await sees(page.locator('li[value="2"] pre'), '"number": 10');
	await button('Show later versions').click();
	await sees(page.locator('.versions'), 'Version 63');
});

/* ---- Dead letters ---------------------------------------------------------------------------- */

const lettersOf = status => JSON.parse(`[${tide('--store', URL_OF_STORE, '--json', 'dead-letters', 'list', '--status', status).trim().split('\n')
	.filter(line => line !== '').join(',')}]`);

await claims('dead_letters_are_retried_resolved_and_discarded_in_bulk', async () => {
	await go('#/');
	await page.getByRole('link', { name: '9 dead letters of fails' }).click();
	await sees(page.locator('main'), '9 dead letters on this page');
	await page.locator('summary').first().click();
	await sees(page.locator('main pre.json').first(), JSON.stringify(HOSTILE));
	same(await button('Retry').isDisabled(), true);

	await page.getByLabel('Choose dead letter 1', { exact: true }).check();
	await page.getByLabel('Choose dead letter 2', { exact: true }).check();
	await press('Resolve', '2 dead letters count as dealt with');
	await sees(page.locator('main'), '7 dead letters on this page');
	same(lettersOf('resolved').map(one => one.id).sort(), [1, 2]);

	sql('main.db', 'INSERT INTO fails_mended VALUES (1)');
	await page.getByLabel('Choose dead letter 3', { exact: true }).check();
	await press('Retry', 'comes out of its order');
	await sees(page.locator('main'), '6 dead letters on this page');
	await eventually(() => lettersOf('resolved').length === 3, 'it was handled after all');

	await page.getByLabel('All of this page').check();
	await press('Discard', '6 dead letters are deleted for ever');
	await sees(page.locator('main'), 'There are none.');
	same(lettersOf('all').length, 3);
	await page.getByLabel('Status').selectOption('resolved');
	await sees(page.locator('main'), '3 dead letters on this page');
	await sees(page.locator('main'), 'resolved by Ada');
	await eventually(() => page.locator('#letters-count').isHidden(), 'none is counted any more');
	await page.getByRole('link', { name: 'Journal' }).click();
	await sees(page.locator('main'), 'Ada');
	await sees(page.locator('main'), 'discard');
});

/* ---- The connection -------------------------------------------------------------------------- */

await claims('a_lost_connection_is_told_and_caught_up', async () => {
	await go('#/events');
	await page.getByLabel('Follow').check();
	await sees(page.locator('main'), 'Following behind position 315.');
	await daemon.end('SIGKILL');
	await sees(page.locator('#banner'), 'The connection was lost at');
	await sees(page.locator('#connection'), 'connection lost');
	append(5);
	await daemon.start();
	await sees(page.locator('#banner'), 'The connection is back');
	await sees(page.locator('main'), 'Following behind position 320.');
	same((await page.locator('tr.new td:first-child').allInnerTexts()).map(Number), [320, 319, 318, 317, 316]);
	await page.getByRole('link', { name: 'Subscriptions', exact: true }).click();
	await sees(rowOf('counts'), '320 of 320');
	await eventually(async () => await page.locator('#banner').innerText() === '', 'the banner goes');
});

/* ---- Everybody ------------------------------------------------------------------------------- */

const parts = {
	overview: '#/', subscription: '#/subscriptions/stops?store=main', events: '#/events', letters: '#/dead-letters?status=any',
	journal: '#/journal', event: `#/events/${cause.event_id}`, stream: `#/streams/Order/${cause.aggregate_id}`,
};

await claims('the_keyboard_alone_is_enough', async () => {
	await go('#/');
	await sees(rowOf('counts'), 'live');
	const focused = () => page.evaluate(() => document.activeElement.id || document.activeElement.textContent.trim());
	await page.keyboard.press('Tab');
	same(await focused(), 'skip');
	await page.keyboard.press('Enter');
	same([await focused(), await page.evaluate(() => location.hash)], ['main', '#/']);
	await page.keyboard.press('Tab');
	same(await focused(), 'filter');
	for (let i = 0; i < 4; i++)
		await page.keyboard.press('Tab');
	await page.keyboard.press('Enter');
	await sees(page.locator('main'), 'Read ahead');
	same(await page.evaluate(() => document.activeElement.tagName), 'H1');
	await page.keyboard.press('Tab');
	same(await focused(), 'Pause');
	await page.keyboard.press('Enter');
	await sees(page.getByRole('dialog'), 'is handed no more events');
	await page.keyboard.press('Escape');
	same(await focused(), 'Pause');
});

await claims('pages_are_accessible_and_fit_on_a_phone', async () => {
	const looks = {
		light: { viewport: { width: 1280, height: 900 } },
		dark: { viewport: { width: 1280, height: 900 }, colorScheme: 'dark' },
		phone: { viewport: { width: 390, height: 844 } },
	};
	const bad = [];
	for (const [look, options] of Object.entries(looks)) {
		const other = await browser.newContext({ ...options, bypassCSP: true, reducedMotion: 'reduce' });
		const one = await other.newPage();
		for (const [part, hash] of Object.entries(parts)) {
			await go(hash, one);
			await eventually(async () => await one.locator('#connection').innerText() === 'live' &&
				!(await one.locator('main').innerText()).includes('Asking the daemon'), `${part} is there`);
			await one.screenshot({ path: path.join(pictures, `${part}-${look}.png`), fullPage: true });
			const over = await one.evaluate(() => document.documentElement.scrollWidth - innerWidth);
			if (over > 0)
				bad.push(`${part} is ${over} pixels too wide (${look})`);
			await one.evaluate(axeSource);
			const { violations } = await one.evaluate(() => window.axe.run());
			for (const found of violations.filter(found => ['serious', 'critical'].includes(found.impact)))
				bad.push(`${part}, ${look}: ${found.id}: ${found.nodes[0].target} ${found.nodes[0].failureSummary}`);
		}
		await other.close();
	}
	same(bad, []);
});

await claims('the_page_is_light_and_soon_there', async () => {
	await go('#/');
	await sees(rowOf('counts'), 'live');
	const [bytes, paint] = await page.evaluate(() => [
		[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
			.filter(one => one.initiatorType !== 'fetch').reduce((sum, one) => sum + one.decodedBodySize, 0),
		performance.getEntriesByName('first-contentful-paint')[0].startTime,
	]);
	console.log(`    ${bytes} bytes, first picture after ${Math.round(paint)} ms`);
	if (bytes < 10000 || bytes > 120000)
		throw new Error(`${bytes} bytes`);
});

await claims('its_answers_say_what_a_page_may_do', async () => {
	for (const [file, type] of [['', 'text/html'], ['board/main.js', 'text/javascript'], ['board/board.css', 'text/css'],
		['board/icon.svg', 'image/svg+xml']]) {
		const answer = await fetch(`${daemon.url}/${file}`);
		same([answer.status, answer.headers.get('content-type').split(';')[0]], [200, type]);
		if (!answer.headers.get('content-security-policy').startsWith("default-src 'self';"))
			throw new Error(answer.headers.get('content-security-policy'));
		same(answer.headers.get('x-content-type-options'), 'nosniff');
	}
	for (const path of ['board', 'board/', 'board/none', 'board/..%2fboard.c', 'board/index.html/x'])
		same([path, (await fetch(`${daemon.url}/${path}`)).status], [path, 404]);
});

await claims('beyond_this_machine_reading_asks_for_a_token', async () => {
	const far = new Daemon('far', configuration.replace(/\[projection (?:fails|handler|stops|totals)[^]*/, ''));
	await daemon.end();
	await far.start('0.0.0.0:0');
	const other = await browser.newContext();
	const one = await other.newPage();
	await one.goto(far.url);
	await sees(one.getByRole('dialog'), 'asks for a token');
	await one.keyboard.press('Escape');
	await sees(one.locator('#banner'), 'Nothing is shown without a token.');
	await one.getByRole('button', { name: 'Give a token' }).click();
	await one.getByLabel('Token', { exact: true }).fill(READ_TOKEN);
	await one.keyboard.press('Enter');
	await sees(one.locator('main'), '320 of 320');
	await one.getByRole('link', { name: 'counts', exact: true }).click();
	await one.getByRole('button', { name: 'Pause' }).click();
	await one.getByRole('dialog').getByRole('button', { name: 'Pause' }).click();
	await sees(one.getByRole('dialog'), 'This token is for reading.');
	await one.getByLabel('Token', { exact: true }).fill(TOKEN);
	await one.keyboard.press('Enter');
	await sees(one.locator('main .state').first(), 'paused');
	await one.getByRole('button', { name: 'Forget the token' }).click();
	await sees(one.getByRole('dialog'), 'asks for a token');
	same(await one.evaluate(() => sessionStorage.getItem('tidemark token')), null);
	await other.close();
	await far.end();
});

await claims('what_rests_retries_or_stands_by_is_told_and_breakers_are_closed_by_hand', async () => {
	const url = 'sqlite:unwell.db';
	tide('--store', url, 'init');
	importOrders(url, 5, 5);
	write('breaks.sql', fails('breaks').replace('OrderPaid', '*'));
	write('retries.py', "import sys\nfor line in sys.stdin:\n    print('retry not yet', flush=True)\n");
	writeCounts('elsewhere');
	const owner = spawn(process.argv[2], ['--store', url, 'project', 'elsewhere.sql'], { stdio: 'ignore' });
	await eventually(() => sqlText('unwell.db', "SELECT 1 FROM subscription_leases WHERE name = 'elsewhere' AND owner IS NOT NULL") === '1',
		'another process runs it');
	const unwell = new Daemon('unwell', `[daemon]\nhttp = ADDRESS\ntoken_file = token\nlog_level = notice\n[store main]\nurl = ${url}\n` +
		projection('breaks', 'max_retries = 0\ncircuit_breaker_failure_threshold = 1\ncircuit_breaker_recovery_timeout = 1h\n') +
		projection('elsewhere') + '[projection retries]\nstore = main\ncommand = python3 retries.py\ninitial_retry_delay = 1h\nmax_retry_delay = 1h\n');
	await unwell.start();
	const other = await browser.newContext();
	const one = await other.newPage();
	const cells = name => one.locator('table.subscriptions tr', { has: one.getByRole('rowheader', { name }) });

	await one.goto(unwell.url);
	await sees(cells('elsewhere'), `pid ${owner.pid}; stands by here`);
	await sees(one.locator('tr.why', { hasText: "'retries' is retrying the event at 1" }), 'attempt 1 of 6 failed');
	await sees(cells('breaks'), 'handler open');
	await sees(one.locator('tr.why'), "'breaks' rests until");
	await one.getByRole('link', { name: 'breaks', exact: true }).click();
	sql('unwell.db', 'INSERT INTO breaks_mended VALUES (1)');
	await one.getByRole('button', { name: 'Close breakers' }).click();
	await sees(one.getByRole('dialog'), 'are called again at once');
	await one.getByRole('dialog').getByRole('button', { name: 'Close breakers' }).click();
	await one.getByLabel('Token', { exact: true }).fill(TOKEN);
	await one.keyboard.press('Enter');
	await sees(one.locator('main .state').first(), 'live');
	await eventually(() => one.getByRole('button', { name: 'Close breakers' }).isHidden(), 'it is not offered any more');
	await one.getByRole('link', { name: 'Subscriptions', exact: true }).click();
	owner.kill('SIGKILL');
	await eventually(async () => (await cells('elsewhere').innerText()).endsWith('here') &&
		!(await cells('elsewhere').innerText()).includes('stands by'), 'it was taken over');
	await other.close();
	await unwell.end();
});

await claims('nothing_from_a_store_became_markup_and_nothing_went_elsewhere', async () => {
	same(wrong, []);
	same(await page.evaluate(() => window.hit ?? null), null);
});

await finish(browser);
