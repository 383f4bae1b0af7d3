// Compares what npm's ioredis makes of Henge and of a real Redis: pipelines, transactions, streams of keys, subscriptions. (Replies are compared byte by
// byte by resp.py.) Usage: resp.js REDIS_PORT HENGE_PORT
'use strict';
const Redis = require('ioredis');
const ports = process.argv.slice(2, 4).map(Number);

function show(x) {
  return JSON.stringify(x, (_, v) => (v instanceof Error ? `Error: ${v.message}` : v && v.type === 'Buffer' ? Buffer.from(v.data).toString('hex') : v));
}

async function main() {
  const clients = ports.map((port) => new Redis({ port, maxRetriesPerRequest: 2, commandTimeout: 15000 }));
  async function each(name, action) {
    const answers = [];
    for (const client of clients) {
      try {
        answers.push(show(await action(client)));
      } catch (e) {
        answers.push(`threw ${e.message}`);
      }
    }
    const same = answers[0] === answers[1];
    console.log(`${same ? 'ok   ' : 'FAIL '} ioredis: ${name}${same ? '' : `  Redis ${answers[0]}, Henge ${answers[1]}`}`);
  }
  const all = (...promises) => Promise.all(promises);

  await each('set and get', async (r) => [await r.set('js:a', '1'), await r.get('js:a'), await r.get('js:none')]);
  await each('many at once on one connection', (r) => all(...Array.from({ length: 500 }, (_, i) => r.set(`js:k${i % 20}`, i)), ...Array.from({ length: 20 }, (_, i) => r.get(`js:k${i}`))));
  await each('pipeline', (r) => r.pipeline().set('js:p', 1).incr('js:p').get('js:p').set('js:t', 'text').incr('js:t').exec());
  await each('multi', (r) => r.multi().set('{js}p', 1).incr('{js}p').get('{js}p').exec());
  await each('multi with an error inside', (r) => r.multi().set('{js}t', 'x').incr('{js}t').set('{js}u', '1').exec());
  await each('multi with a bad command', (r) => r.multi().set('{js}t').exec().catch((e) => `${e.message} / ${(e.previousErrors || []).map((p) => p.message)}`));
  await each('watch and a change', async (r) => {
    const other = r.duplicate();
    await r.watch('{js}w');
    await other.set('{js}w', '1');
    other.disconnect();
    return r.multi().set('{js}w', '2').exec();
  });
  await each('watch without a change', async (r) => { await r.watch('{js}w'); return r.multi().set('{js}w', '2').exec(); });
  await each('scanStream', async (r) => {
    await r.mset(Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`js:s${i}`, `${i}`])));
    const keys = new Set();
    for await (const page of r.scanStream({ match: 'js:s*', count: 10 })) page.forEach((k) => keys.add(k));
    return [...keys].sort();
  });
  await each('buffers', async (r) => { const b = Buffer.from(Array.from({ length: 256 }, (_, i) => i)); await r.set('js:b', b); return (await r.getBuffer('js:b')).toString('hex'); });
  await each('psubscribe', async (r) => {
    const sub = r.duplicate();
    const events = [];
    const done = new Promise((resolve) => sub.on('pmessage', (pattern, channel, message) => { events.push([pattern, channel, message]); if (events.length === 2) resolve(); }));
    const count = await sub.psubscribe('__keyspace@0__:jsn:*');
    await r.set('jsn:a', '1');
    await r.del('jsn:a');
    await Promise.race([done, new Promise((resolve) => setTimeout(resolve, 5000))]);
    sub.disconnect();
    return [count, events];
  });
  await each('an unknown command', (r) => r.call('NOSUCH', 'a'));
  await each('auto-pipelining', async (r) => {
    const fast = r.duplicate({ enableAutoPipelining: true });
    const out = await Promise.all(Array.from({ length: 200 }, (_, i) => fast.incr(`js:auto${i % 5}`)));
    fast.disconnect();
    return out;
  });
  const other = new Redis({ port: ports[1], db: 1, maxRetriesPerRequest: 0, commandTimeout: 15000 });
  other.on('error', () => {});
  const refused = await other.set('js:db1', 'x').catch((e) => e.message);
  const unwritten = await clients[1].get('js:db1');
  console.log(`${/database 0|out of range/.test(refused) && unwritten === null ? 'ok   ' : 'FAIL '} ioredis: db 1 is refused and nothing is written  ${refused} ${unwritten}`);
  other.disconnect();
  await each('a password for the default user', async (r) => {
    const auth = r.duplicate({ username: 'default', password: 'x' });
    await auth.set('js:auth', '1');
    auth.disconnect();
    return r.get('js:auth');
  });
  await each('quit', async (r) => r.duplicate().quit());
  clients.forEach((c) => c.disconnect());
}

main().catch((e) => { console.log(`FAIL  ioredis: ${e.stack}`); process.exit(1); });
