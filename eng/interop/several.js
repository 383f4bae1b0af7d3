// Uses a cluster whose nodes have a part of the shards each, by npm's ioredis in its stand-alone mode. Usage: several.js PORT..., the ports of all nodes. When
// it prints "kill N", the node of the N-th port is to be killed, and a line on standard input says that it was. Prints "ok ..." or "FAIL ..." for each check.
'use strict';
const Redis = require('ioredis');
const ports = process.argv.slice(2).map(Number);
const keys = Array.from({ length: 200 }, (_, i) => `js:${i}`);

function report(good, name, detail = '') {
  console.log(`${good ? 'ok   ' : 'FAIL '} ioredis: ${name}${good ? '' : `  ${detail}`}`);
}

// docs/protocol.md has this function: a client of whichever of several nodes can be reached.
function several(endpoints, options = {}) {
  let turn = Math.floor(Math.random() * endpoints.length);
  const redis = new Redis({
    ...options,
    ...endpoints[turn],
    connectTimeout: 1000,
    maxRetriesPerRequest: 20,
    retryStrategy(times) {
      turn = (turn + 1) % endpoints.length;
      Object.assign(redis.options, endpoints[turn]);
      return Math.min(times * 20, 500);
    },
  });
  redis.on('error', () => {}); // It goes on at the next endpoint.
  return redis;
}

async function main() {
  const one = ports.map((port) => new Redis({ port, commandTimeout: 15000 }));
  await Promise.all(keys.map((k, i) => one[0].set(k, `value ${i}`)));
  for (const [i, r] of one.entries()) {
    const got = await Promise.all(keys.map((k) => r.get(k)));
    report(got.every((v, n) => v === `value ${n}`), `node ${i + 1} answers for every key`, JSON.stringify(got.slice(0, 3)));
    const many = await r.mget(keys);
    report(many.every((v, n) => v === `value ${n}`), `node ${i + 1}: MGET over all shards`);
    const found = [];
    for await (const page of r.scanStream({ match: 'js:*', count: 17 })) found.push(...page);
    report(found.length === keys.length && new Set(found).size === keys.length, `node ${i + 1}: SCAN finds every key once`, found.length);
    const piped = await keys.reduce((p, k) => p.strlen(k), r.pipeline()).exec();
    report(piped.every(([e, n]) => e === null && n > 6), `node ${i + 1}: a pipeline over all shards`);
    const multi = await r.multi().incr('{js}n').set('{js}m', i).exec();
    report(multi[0][1] === i + 1, `node ${i + 1}: MULTI on keys of one shard`, JSON.stringify(multi));
  }
  one.forEach((r) => r.disconnect());

  const r = several(ports.map((port) => ({ host: '127.0.0.1', port })));
  const written = [];
  for (let i = 0; i < 300; i++) {
    if (i === 100) {
      const killed = new Promise((resolve) => process.stdin.once('data', resolve));
      console.log(`kill ${ports.indexOf(r.options.port) + 1}`);
      await killed;
    }
    await r.set(`js:after:${i}`, i);
    written.push(`js:after:${i}`);
  }
  const values = await r.mget(written);
  report(values.every((v, i) => v === String(i)), 'several endpoints: no error and nothing lost when the node that is used is killed');
  process.exit(0);
}

main().catch((e) => { report(false, 'threw', e.stack); process.exit(1); });
