// Drives every call of Henge's Thrift API by npm's thrift. Usage: thrift-client.js HOST:PORT STUBS [CA]; with an authority, behind TLS, where access is
// checked and PASSWORD_FILE has the password of root. Prints "ok ..." or "FAIL ..." for each check, in both protocols.
'use strict';
const fs = require('fs');
const path = require('path');
const thrift = require('thrift');
const [address, stubs, ca] = process.argv.slice(2);
const KVStore = require(path.join(stubs, 'KVStore.js'));
const t = require(path.join(stubs, 'henge_types.js'));
const [host, port] = [address.slice(0, address.lastIndexOf(':')), Number(address.slice(address.lastIndexOf(':') + 1))];
const bytes = (text) => Buffer.from(text);

function connect(protocol) {
  const options = { transport: thrift.TFramedTransport, protocol };
  const connection = ca
    ? thrift.createSSLConnection(host, port, { ...options, ca: fs.readFileSync(ca), rejectUnauthorized: true })
    : thrift.createConnection(host, port, options);
  return { connection, client: thrift.createClient(KVStore, connection) };
}

function expect(condition, detail) {
  if (!condition) throw new Error(`not as expected: ${JSON.stringify(detail)}`);
}

async function expectError(kind, code, call) {
  try {
    await call();
  } catch (e) {
    expect(e instanceof kind, String(e));
    expect(e.code === code && e.message.length > 0, e);
    return;
  }
  throw new Error(`no ${kind.name}`);
}

async function checks(encoding, protocol) {
  const { connection, client } = connect(protocol);
  const tag = `js${process.pid}${encoding}:`;
  const k = bytes(`${tag}k`);
  let broken = null;
  connection.on('error', (e) => { broken = e; });
  const check = async (name, run) => {
    let timer;
    try {
      const late = new Promise((_, reject) => { timer = setTimeout(() => reject(broken ?? new Error('no answer in time')), 15000); });
      await Promise.race([run(), late]);
      console.log(`ok    Node.js ${encoding}${ca ? ', TLS' : ''}: ${name}`);
    } catch (e) {
      console.log(`FAIL  Node.js ${encoding}${ca ? ', TLS' : ''}: ${name}  ${e.message}`);
    }
    clearTimeout(timer);
  };

  if (ca) {
    const password = fs.readFileSync(process.env.PASSWORD_FILE, 'utf8').trim();
    await check('a login, and nothing before it', async () => {
      await expectError(t.Unauthenticated, t.ErrorCode.UNAUTHENTICATED, () => client.get(new t.GetRequest({ key: k })));
      await expectError(t.Unauthenticated, t.ErrorCode.UNAUTHENTICATED, () => client.auth(new t.Credentials({ user: 'root', password: 'wrong' })));
      await client.auth(new t.Credentials({ user: 'root', password }));
      await client.put(new t.PutRequest({ key: k, value: bytes('v') }));
      expect(String((await client.get(new t.GetRequest({ key: k }))).value) === 'v');
    });
    connection.end();
    return;
  }

  await check('put, get and remove, bytes of any kind', async () => {
    const value = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    const put = await client.put(new t.PutRequest({ key: k, value }));
    expect(put.success && put.version.toNumber() > 0, put);
    const got = await client.get(new t.GetRequest({ key: k }));
    expect(got.found && value.equals(got.value) && got.version.toNumber() === put.version.toNumber(), got);
    expect(!(await client.get(new t.GetRequest({ key: bytes(`${tag}none`) }))).found);
    const removed = await client.remove(new t.DeleteRequest({ key: k, return_previous: true }));
    expect(removed.success && value.equals(removed.previous.value), removed);
    expect(!(await client.remove(new t.DeleteRequest({ key: k }))).success);
  });
  await check('conditions and times to live', async () => {
    const first = await client.put(new t.PutRequest({ key: k, value: bytes('1'), if_version: 0, ttl_ms: 600000 }));
    const second = await client.put(new t.PutRequest({ key: k, value: bytes('2'), if_version: 0, return_previous: true }));
    expect(first.success && !second.success && String(second.previous.value) === '1', second);
    const left = (await client.get(new t.GetRequest({ key: k }))).ttl_remaining_ms.toNumber();
    expect(left > 0 && left <= 600000, left);
  });
  await check('pages of a scan', async () => {
    for (let i = 0; i < 12; i++) await client.put(new t.PutRequest({ key: bytes(`${tag}s/${i + 10}`), value: bytes(`${i}`) }));
    const found = [];
    let continuation = null;
    do {
      const page = await client.scan(new t.ScanRequest({ prefix: bytes(`${tag}s/`), limit: 5, continuation }));
      found.push(...page.pairs.map((p) => String(p.value)));
      continuation = page.continuation;
    } while (continuation.length > 0);
    expect(found.join() === Array.from({ length: 12 }, (_, i) => i).join(), found);
    expect((await client.scan(new t.ScanRequest({ prefix: bytes(`${tag}s/`), count_only: true }))).count.toNumber() === 12);
  });
  await check('several keys together', async () => {
    const puts = Array.from({ length: 30 }, (_, i) => new t.PutRequest({ key: bytes(`${tag}m${i}`), value: bytes(`${i}`) }));
    expect((await client.multiPut(puts)).every((o) => o.result.success));
    const results = await client.multiGet(new t.MultiGetRequest({ keys: puts.map((p) => p.key) }));
    expect(results.every((r, i) => String(r.value) === `${i}`), results.length);
  });
  await check('transactions', async () => {
    const one = bytes(`${tag}{t}1`);
    const request = new t.TxnRequest({
      compare: [new t.Compare({ key: one, relation: t.Relation.EQUAL, exists: false })],
      success: [new t.TxnOperation({ put: new t.PutRequest({ key: one, value: bytes('x') }) }), new t.TxnOperation({ get: new t.GetRequest({ key: one }) })],
      failure: [new t.TxnOperation({ get: new t.GetRequest({ key: one }) })],
    });
    const first = await client.txn(request);
    expect(first.succeeded && first.results[0].put.success && String(first.results[1].get.value) === 'x', first);
    expect(!(await client.txn(request)).succeeded);
  });
  await check("the node's state", async () => {
    const status = await client.status();
    expect(status.node_id === 'node1' && status.role === 'leader' && status.shards.length > 0, status);
  });
  await check('errors are exceptions with codes', async () => {
    await expectError(t.InvalidArgument, t.ErrorCode.INVALID_ARGUMENT, () => client.get(new t.GetRequest()));
    await expectError(t.InvalidArgument, t.ErrorCode.INVALID_ARGUMENT, () => client.auth(new t.Credentials({ user: 'root', password: 'x' })));
    await expectError(t.TooLarge, t.ErrorCode.TOO_LARGE, () => client.put(new t.PutRequest({ key: Buffer.alloc(20000), value: k })));
    await expectError(t.HistoryGone, t.ErrorCode.HISTORY_GONE, () => client.get(new t.GetRequest({ key: k, at_unix_ms: 1 })));
    const operations = Array.from({ length: 40 }, (_, i) => new t.TxnOperation({ get: new t.GetRequest({ key: bytes(`${tag}shard${i}`) }) }));
    await expectError(t.CrossShard, t.ErrorCode.CROSS_SHARD, () => client.txn(new t.TxnRequest({ success: operations })));
  });
  await check('a hundred calls under way are answered each by its own', async () => {
    const results = await Promise.all(Array.from({ length: 100 }, async (_, i) => {
      const own = bytes(`${tag}p${i}`);
      await client.put(new t.PutRequest({ key: own, value: bytes(`${i}`) }));
      return String((await client.get(new t.GetRequest({ key: own }))).value);
    }));
    expect(results.every((v, i) => v === `${i}`), results);
  });
  connection.end();
}

checks('binary', thrift.TBinaryProtocol).then(() => checks('compact', thrift.TCompactProtocol)).catch((e) => {
  console.error(e);
  process.exitCode = 1;
});
