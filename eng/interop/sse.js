// Watches keys through a proxy that cuts its connections, with npm's eventsource, and checks that every event is seen once and in order.
'use strict';
const net = require('net');
const { EventSource } = require('eventsource');

const target = process.argv[2];
const [host, port] = target.split(':');
const base = `http://${target}`;
const check = (name, ok, detail) => console.log(`${ok ? 'ok   ' : 'FAIL '} ${name}${ok ? '' : '  ' + (detail ?? '')}`);

// Passes on what the server sends, at most so many bytes a connection; then the connection is reset in the middle of whatever it was.
let cuts = 0;
let limit = () => 400 + Math.floor(Math.random() * 3000);
const proxy = net.createServer((client) => {
  const server = net.connect(Number(port), host);
  let left = limit();
  client.pipe(server);
  server.on('data', (data) => {
    if (data.length < left) {
      left -= data.length;
      client.write(data);
      return;
    }
    cuts++;
    client.write(data.subarray(0, left), () => client.resetAndDestroy());
    server.destroy();
  });
  server.on('end', () => client.end());
  server.on('error', () => client.destroy());
  client.on('error', () => server.destroy());
  client.on('close', () => server.destroy());
});

const put = async (key, value) => {
  const response = await fetch(`${base}/v1/kv?key=${encodeURIComponent(key)}`, { method: 'PUT', body: value });
  if (!response.ok) throw new Error(`PUT ${key}: ${response.status} ${await response.text()}`);
};

async function watch(name, prefix, keyOf, count, judge) {
  const seen = [];
  const written = [];
  let positions = 0;
  let problem = '';
  // Reconnecting waits 3 s by default; a proxy in front of us would not know how to say otherwise.
  const source = new EventSource(`http://127.0.0.1:${proxy.address().port}/v1/watch?prefix=${encodeURIComponent(prefix)}`, {
    fetch: (url, init) => fetch(url, init).then((response) => {
      const body = response.body.pipeThrough(new TransformStream({ start: (c) => c.enqueue(new TextEncoder().encode('retry: 20\n\n')) }));
      return { body, url: response.url, status: response.status, redirected: response.redirected, headers: response.headers };
    }),
  });
  const began = new Promise((resolve) => source.addEventListener('position', (e) => {
    positions++;
    if (!e.lastEventId) problem = 'a position without an id';
    resolve();
  }));
  source.addEventListener('put', (e) => {
    const data = JSON.parse(e.data);
    seen.push(`${data.key}=${data.value}`);
    if (!e.lastEventId) problem = 'an event without an id';
  });
  await began;
  for (let i = 0; i < count; i++) {
    const key = keyOf(i);
    written.push(`${key}=${i}`);
    await put(key, String(i));
  }
  for (let waited = 0; waited < 30000 && seen.length < count; waited += 50) await new Promise((r) => setTimeout(r, 50));
  // What would come twice comes now.
  await put(prefix + 'last', 'last');
  written.push(`${prefix}last=last`);
  for (let waited = 0; waited < 30000 && seen.at(-1) !== written.at(-1); waited += 50) await new Promise((r) => setTimeout(r, 50));
  source.close();
  check(`${name}: every event once`, !problem && seen.length === written.length && new Set(seen).size === seen.length,
    problem || `${seen.length} events of ${written.length}, ${new Set(seen).size} different`);
  check(`${name}: in order`, judge(written, seen), `${seen.slice(0, 20)} …`);
  return positions;
}

(async () => {
  await new Promise((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const exact = (written, seen) => JSON.stringify(written) === JSON.stringify(seen);
  const byKey = (written, seen) => [...new Set(written.map((w) => w.split('=')[0]))].every((key) => {
    const of = (list) => list.filter((w) => w.startsWith(key + '='));
    return JSON.stringify(of(written)) === JSON.stringify(of(seen));
  });
  const run = process.argv[3] ?? String(Date.now());
  const one = await watch('keys of one shard', `{sse${run}}`, (i) => `{sse${run}}k${i % 5}`, 300, exact);
  const all = await watch('keys of all shards', `sse${run}:`, (i) => `sse${run}:k${i % 11}`, 300, byKey);
  check('the connections were cut and made again', cuts >= 10 && one > 3 && all > 3, `${cuts} cuts, ${one} and ${all} connections`);

  // A connection that is cut before its first event has a place to go on from.
  limit = () => 1 << 30;
  const early = new EventSource(`http://127.0.0.1:${proxy.address().port}/v1/watch?prefix=early${run}`);
  const id = await new Promise((resolve) => early.addEventListener('position', (e) => resolve(e.lastEventId)));
  early.close();
  await put(`early${run}`, 'v');
  const again = await fetch(`${base}/v1/watch?prefix=early${run}`, { headers: { 'Last-Event-ID': id } });
  const reader = again.body.getReader();
  let text = '';
  while (!text.includes('event: put')) text += new TextDecoder().decode((await reader.read()).value);
  check('an id comes before the first event, and what happens meanwhile is not lost', text.includes(`"early${run}"`), text);
  await reader.cancel();
  process.exit(0);
})().catch((e) => {
  check('the comparison came to its end', false, e.stack);
  process.exit(1);
});
