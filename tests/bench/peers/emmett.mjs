// SPDX-License-Identifier: Apache-2.0
// One measurement of Emmett: emmett.mjs sqlite|postgres STORE default|tuned WORK [COUNT [EACH]]
//
//   versions                  what it is measured with
//   fill COUNT                a history, in batches of a hundred
//   append COUNT EACH         EACH events at a time, to streams of a hundred events
//   catch-up COUNT EACH       a consumer from the beginning, in batches of EACH, behind each of which its position is committed
//   live COUNT                from the call of an append to the handler in another process
//
// It prints how many were measured, seconds, and microseconds of processor time; for `live` the median of the seconds, and the
// one that 99 of 100 are below. `default` is what its documentation shows: batches of 100, a pull each 50 ms, and a connection as
// the store makes it. `tuned`: batches as large as asked, no pause between pulls, no look at the schema at each append and, on SQLite, one connection
// that stays open and waits for locks, and whose positions are not flushed one by one. What SQLite refuses as busy is tried again.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';

const [database, at, settings, work, countText = '0', eachText = '100'] = process.argv.slice(2);
const isTuned = settings === 'tuned';
const count = Number(countText), each = Number(eachText);
const WARM = 3;
const order = {
	type: 'OrderPlaced',
	data: {
		order: 4711, customer: 'customer-00815', amount: 17.25, currency: 'EUR', lines: 3,
		note: 'the quick brown fox jumps over the lazy dog and then walks home along the river, thinking about what it might have '
			+ 'for supper before the tide comes in',
	},
};
const say = (...words) => process.stdout.write(`${words.join(' ')}\n`);
console.log = console.error; // Emmett prints the errors that it throws
const clock = () => Number(process.hrtime.bigint()) / 1e9;

/** A file has its journal before Emmett opens it, which asks for that beside its first transaction, and fails when it comes second. */
async function fileMade() {
	const { default: sqlite3 } = await import('sqlite3');
	const db = new sqlite3.Database(at);
	await new Promise((resolve, reject) => db.exec('PRAGMA journal_mode = WAL', (error) => error ? reject(error) : resolve()));
	await new Promise((resolve) => db.close(resolve));
}

async function sqliteStore(isReader) {
	const { getSQLiteEventStore, sqliteConnection } = await import('@event-driven-io/emmett-sqlite');
	await fileMade();
	if (!isTuned)
		return getSQLiteEventStore({ fileName: at });
	const connection = sqliteConnection({ fileName: at });
	await connection.command('PRAGMA busy_timeout = 10000');
	await connection.command(`PRAGMA synchronous = ${isReader ? 'NORMAL' : 'FULL'}`);
	return getSQLiteEventStore({ fileName: at, connectionOptions: { singleton: true, connection }, schema: { autoMigration: 'None' } });
}

async function postgresStore() {
	const { getPostgreSQLEventStore } = await import('@event-driven-io/emmett-postgresql');
	return getPostgreSQLEventStore(at, isTuned ? { schema: { autoMigration: 'None' } } : undefined);
}

const storeOpened = (isReader) => database === 'sqlite' ? sqliteStore(isReader) : postgresStore();

function consumerOf(store, name, batchSize, handle, isOver) {
	const consumer = store.consumer(isTuned ? { pulling: { batchSize, pullingFrequencyInMs: 0 } } : undefined);
	const processor = { processorId: name, eachMessage: handle, stopAfter: isOver };
	if (database === 'sqlite')
		consumer.processor(processor);
	else
		consumer.reactor(processor);
	return consumer;
}

/** Calls `run`, and prints how long it took. */
async function measure(run) {
	const began = clock(), used = process.cpuUsage();
	await run();
	const { user, system } = process.cpuUsage(used);
	say(count, clock() - began, user + system);
}

/** Until it is not refused as busy, as appends at its default may be. */
async function appendOnce(store, stream, events) {
	for (let tries = 1;; tries++)
		try {
			return await store.appendToStream(stream, events);
		} catch (error) {
			if (!String(error.code).startsWith('SQLITE_') || tries === 1000)
				throw error;
		}
}

async function append(store, total, batch) {
	const streamOf = (event) => `order-${process.pid}x${Math.floor(event / 100)}`;
	for (let event = 0; event < total; event += batch)
		await appendOnce(store, streamOf(event), Array(batch).fill(order));
}

async function catchUp(store) {
	let handled = 0;
	const isOver = () => handled >= count;
	await measure(() => consumerOf(store, `bench-${process.pid}`, each, () => { handled++; }, isOver).start());
	if (handled !== count)
		throw new Error(`${handled} of ${count} events handled`);
}

/** The other process: says when it got each event behind the first hundred, with which it has caught up. */
async function listen(store) {
	let last = 99n;
	const handle = (event) => {
		const position = event.metadata.globalPosition;
		if (position > last) {
			last = position;
			process.send(clock());
		}
	};
	process.on('disconnect', () => process.exit());
	for (;;) // a consumer whose positions are refused as busy stops
		await consumerOf(store, 'live', 100, handle).start();
}

async function live(store) {
	await append(store, 100, 100);
	const listener = fork(process.argv[1], [database, at, settings, 'listen']);
	const took = [];
	await once(listener, 'message');
	for (let event = -WARM; event < count; event++) {
		const heard = once(listener, 'message'), began = clock();
		await appendOnce(store, 'order-live', [order]);
		const [got] = await heard;
		if (event >= 0)
			took.push(got - began);
		// idle in between, and at any moment of the second in which it looks at its default
		await new Promise((resolve) => setTimeout(resolve, 20 + ((event + WARM) * 618 % 1000) * (isTuned ? 0.005 : 1)));
	}
	listener.disconnect();
	took.sort((a, b) => a - b);
	say(count, took[Math.floor(count / 2)], 0, took[Math.floor(count * 99 / 100)]);
}

async function versions() {
	const require = createRequire(import.meta.url);
	const packages = database === 'sqlite' ? ['emmett', 'emmett-sqlite'] : ['emmett', 'emmett-postgresql', 'dumbo'];
	const names = packages.map((name) => `@event-driven-io/${name}`).concat(database === 'sqlite' ? 'sqlite3' : 'pg');
	const { readFileSync } = await import('node:fs');
	const said = names.map((name) => {
		const file = new URL(`node_modules/${name}/package.json`, import.meta.url);
		return `${name.split('/').pop()} ${JSON.parse(readFileSync(file, 'utf8')).version}`;
	});
	if (database === 'sqlite')
		said.push(`with SQLite ${require('sqlite3').VERSION}`);
	await storeOpened(false);
	say(`${said.join(', ')}, Node ${process.versions.node}`);
}

try {
	if (work === 'versions') {
		await versions();
		process.exit(0);
	}
	const store = await storeOpened(work === 'catch-up' || work === 'listen');
	if (work !== 'listen')
		await store.schema.migrate();
	if (work === 'fill')
		await append(store, count, 100);
	else if (work === 'append')
		await measure(() => append(store, count, each));
	else if (work === 'catch-up')
		await catchUp(store);
	else if (work === 'listen')
		await listen(store);
	else if (work === 'live')
		await live(store);
	else
		throw new Error(`no such work: '${work}'`);
	process.exit(0); // whatever it keeps open
} catch (error) {
	say(String(error.message).split('\n')[0]);
	process.exit(1);
}
