using System.Collections.Frozen;

namespace Henge.Server.Resp.Commands;

/// <summary>What COMMAND DOCS and COMMAND INFO say of a command besides what the command itself knows.</summary>
/// <param name="Since">The version of Redis that had it first.</param>
/// <param name="Group">Its group, as Redis names it.</param>
/// <param name="IsFast">True when it does not take longer for larger data.</param>
/// <param name="Complexity">How long it takes here.</param>
/// <param name="Arguments">What may stand behind its name.</param>
/// <param name="Summary">What it does.</param>
internal sealed record CommandDocs(
    string Since,
    string Group,
    bool IsFast,
    string Complexity,
    IReadOnlyList<CommandSyntax> Arguments,
    string Summary)
{
    // name | since | group | F: fast, S: slow | complexity | syntax (CommandSyntax) | summary
    private const string Table =
        """
        acl|6.0.0|server|S|O(N) with the users|subcommand [argument...]|Tells of the cluster's users, and changes them.
        append|2.0.0|string|F|O(N) with the length of the new value|key:key value|Appends to a value; makes the key when there is none.
        auth|1.0.0|connection|F|O(1)|[username] password|Says who the client is.
        bitcount|2.6.0|bitmap|S|O(N) with the bytes looked at|key:key [range=start:integer end:integer [unit=BYTE|BIT]]|Counts the bits that are set.
        client|2.4.0|connection|S|Depends on the subcommand|subcommand [argument...]|Names the connection and tells of it.
        cluster|3.0.0|cluster|S|O(1)|subcommand [argument...]|Tells of nodes and shards. This is no Redis Cluster: any node serves any key.
        command|2.8.13|server|S|O(N) with the number of commands|[subcommand] [argument...]|Describes the commands of this server.
        config|2.0.0|server|S|O(N) with the number of settings|subcommand [argument...]|Tells the settings that clients ask for.
        copy|6.2.0|generic|S|O(N) with the length of the value|source:key destination:key [DB destination-db:integer] [replace=REPLACE]|Copies a value to another key of the same shard.
        dbsize|1.0.0|server|F|O(N) with the number of keys||Counts the keys.
        decr|1.0.0|string|F|O(1)|key:key|Takes one from a number.
        decrby|1.0.0|string|F|O(1)|key:key decrement:integer|Takes some from a number.
        del|1.0.0|generic|S|O(N) with the number of keys|key:key...|Deletes keys.
        delex|8.4.0|string|F|O(N) with the length of the value|key:key [condition=IFEQ ifeq-value|IFNE ifne-value|IFDEQ ifdeq-digest|IFDNE ifdne-digest]|Deletes a key if its value is, or is not, what is given.
        digest|8.4.0|string|F|O(N) with the length of the value|key:key|Tells the digest of a value.
        discard|2.0.0|transactions|F|O(N) with the number of queued commands||Forgets a transaction.
        echo|1.0.0|connection|F|O(1)|message|Answers what was sent.
        eval|2.6.0|scripting|S|Depends on the script|script numkeys:integer [key:key...] [arg...]|Does one of the scripts that this server knows.
        evalsha|2.6.0|scripting|S|Depends on the script|sha1 numkeys:integer [key:key...] [arg...]|Does one of the scripts that this server knows, by its SHA-1.
        exec|1.2.0|transactions|S|Depends on the queued commands||Does a transaction, all of it at one version.
        exists|1.0.0|generic|F|O(N) with the number of keys|key:key...|Counts which of the keys are there.
        expire|1.0.0|generic|F|O(1)|key:key seconds:integer [condition=NX|XX|GT|LT]|Lets a key end after some seconds.
        expireat|1.2.0|generic|F|O(1)|key:key unix-time-seconds:unix-time [condition=NX|XX|GT|LT]|Lets a key end at a moment in seconds.
        expiretime|7.0.0|generic|F|O(1)|key:key|Tells when a key ends, in seconds.
        flushall|1.0.0|server|S|O(N) with the number of keys|[async=ASYNC|SYNC]|Deletes all keys.
        flushdb|1.0.0|server|S|O(N) with the number of keys|[async=ASYNC|SYNC]|Deletes all keys.
        get|1.0.0|string|F|O(1)|key:key|Reads a value.
        getbit|2.2.0|bitmap|F|O(1)|key:key offset:integer|Reads one bit.
        getdel|6.2.0|string|F|O(1)|key:key|Reads a value and deletes its key.
        getex|6.2.0|string|F|O(1)|key:key [expiration=EX seconds:integer|PX milliseconds:integer|EXAT unix-time-seconds:unix-time|PXAT unix-time-milliseconds:unix-time|PERSIST]|Reads a value and sets when its key ends.
        getrange|2.4.0|string|S|O(N) with the bytes returned|key:key start:integer end:integer|Reads a part of a value.
        getset|1.0.0|string|F|O(1)|key:key value|Writes a value and answers the one before.
        hdel|2.0.0|hash|F|O(N) with the size of the hash|key:key field...|Deletes fields of a hash.
        hello|6.0.0|connection|F|O(1)|[arguments=protover:integer [AUTH {username_password=username password}] [SETNAME clientname]]|Chooses the protocol and tells of the server.
        hexists|2.0.0|hash|F|O(N) with the size of the hash|key:key field|Tells whether a field is there.
        hget|2.0.0|hash|F|O(N) with the size of the hash|key:key field|Reads a field of a hash.
        hgetall|2.0.0|hash|S|O(N) with the size of the hash|key:key|Reads all fields and values of a hash.
        hincrby|2.0.0|hash|F|O(N) with the size of the hash|key:key field increment:integer|Adds to a number in a hash.
        hincrbyfloat|2.6.0|hash|F|O(N) with the size of the hash|key:key field increment:double|Adds to a number with a fraction in a hash.
        hkeys|2.0.0|hash|S|O(N) with the size of the hash|key:key|Reads the fields of a hash.
        hlen|2.0.0|hash|F|O(1)|key:key|Counts the fields of a hash.
        hmget|2.0.0|hash|F|O(N) with the size of the hash and the number of fields|key:key field...|Reads several fields of a hash.
        hmset|2.0.0|hash|F|O(N) with the size of the hash|key:key {field_value=field value}...|Writes several fields of a hash.
        hrandfield|6.2.0|hash|S|O(N) with the size of the hash|key:key [options=count:integer [withvalues=WITHVALUES]]|Gives fields of a hash at random.
        hscan|2.8.0|hash|S|O(N) with the size of the hash|key:key cursor:integer [MATCH pattern:pattern] [COUNT count:integer]|Walks over the fields of a hash.
        hset|2.0.0|hash|F|O(N) with the size of the hash|key:key {field_value=field value}...|Writes fields of a hash.
        hsetnx|2.0.0|hash|F|O(N) with the size of the hash|key:key field value|Writes a field that is not there.
        hstrlen|3.2.0|hash|F|O(N) with the size of the hash|key:key field|Tells the length of a field's value.
        hvals|2.0.0|hash|S|O(N) with the size of the hash|key:key|Reads the values of a hash.
        incr|1.0.0|string|F|O(1)|key:key|Adds one to a number.
        incrby|1.0.0|string|F|O(1)|key:key increment:integer|Adds some to a number.
        incrbyfloat|2.6.0|string|F|O(1)|key:key increment:double|Adds to a number with a fraction.
        info|1.0.0|server|S|O(N) with the number of shards|[section...]|Tells of the server.
        keys|1.0.0|generic|S|O(N) with the number of keys that begin as the pattern does|pattern:pattern|Lists the keys that match a pattern.
        lastsave|1.0.0|server|F|O(1)||Tells the time: every write that was acknowledged is on disk.
        latency|2.8.13|server|S|O(1)|subcommand [argument...]|Answers that nothing was slow; figures are in /metrics.
        memory|4.0.0|server|S|O(1)|subcommand [argument...]|Tells how much a key takes.
        mget|1.0.0|string|F|O(N) with the number of keys|key:key...|Reads several values.
        mset|1.0.1|string|S|O(N) with the number of keys|{key_value=key:key value}...|Writes several values, together for each shard.
        msetnx|1.0.1|string|S|O(N) with the number of keys|{key_value=key:key value}...|Writes several values if none of the keys is there.
        multi|1.2.0|transactions|F|O(1)||Begins a transaction.
        object|2.2.3|generic|S|O(1)|subcommand [argument...]|Tells how a value is kept.
        persist|2.2.0|generic|F|O(1)|key:key|Lets a key never end.
        pexpire|2.6.0|generic|F|O(1)|key:key milliseconds:integer [condition=NX|XX|GT|LT]|Lets a key end after some milliseconds.
        pexpireat|2.6.0|generic|F|O(1)|key:key unix-time-milliseconds:unix-time [condition=NX|XX|GT|LT]|Lets a key end at a moment in milliseconds.
        pexpiretime|7.0.0|generic|F|O(1)|key:key|Tells when a key ends, in milliseconds.
        ping|1.0.0|connection|F|O(1)|[message]|Answers.
        psetex|2.6.0|string|S|O(1)|key:key milliseconds:integer value|Writes a value that ends after some milliseconds.
        psubscribe|2.0.0|pubsub|S|O(N) with the number of patterns|pattern:pattern...|Subscribes to all channels that match patterns.
        pttl|2.6.0|generic|F|O(1)|key:key|Tells how many milliseconds a key has left.
        publish|2.0.0|pubsub|F|O(N+M) with the subscribers of the channel and the patterns of this node|channel message|Sends a message to the subscribers of a channel on all nodes, at most once.
        pubsub|2.8.0|pubsub|S|O(N) with the channels of this node|subcommand [argument...]|Tells who is subscribed on this node.
        punsubscribe|2.0.0|pubsub|S|O(N) with the number of patterns|[pattern:pattern...]|Ends subscriptions to patterns.
        quit|1.0.0|connection|F|O(1)||Ends the connection.
        randomkey|1.0.0|generic|S|O(log N) with the number of keys||Gives some key.
        rename|1.0.0|generic|S|O(N) with the length of the value|key:key newkey:key|Gives a key another name in the same shard.
        renamenx|1.0.0|generic|F|O(N) with the length of the value|key:key newkey:key|Gives a key another name in the same shard if that is free.
        reset|6.2.0|connection|F|O(1)||Makes the connection as if it were new.
        role|2.8.12|server|F|O(1)||Answers master: any node takes writes.
        scan|2.8.0|generic|S|O(N) with the keys of the page|cursor:integer [MATCH pattern:pattern] [COUNT count:integer] [TYPE type]|Walks over the keys, page by page.
        script|2.6.0|scripting|S|Depends on the subcommand|subcommand [argument...]|Tells which scripts this server knows.
        select|1.0.0|connection|F|O(1)|index:integer|Chooses the database; there is database 0.
        set|1.0.0|string|S|O(1)|key:key value [condition=NX|XX|IFEQ ifeq-value|IFNE ifne-value|IFDEQ ifdeq-digest|IFDNE ifdne-digest] [get=GET] [expiration=EX seconds:integer|PX milliseconds:integer|EXAT unix-time-seconds:unix-time|PXAT unix-time-milliseconds:unix-time|KEEPTTL]|Writes a value.
        setbit|2.2.0|bitmap|S|O(N) with the length of the value|key:key offset:integer value:integer|Writes one bit.
        setex|2.0.0|string|S|O(1)|key:key seconds:integer value|Writes a value that ends after some seconds.
        setnx|1.0.0|string|F|O(1)|key:key value|Writes a value if the key is not there.
        setrange|2.2.0|string|S|O(N) with the length of the value|key:key offset:integer value|Writes a part of a value.
        slowlog|2.2.12|server|S|O(1)|subcommand [argument...]|Answers that nothing was slow; figures are in /metrics.
        spublish|7.0.0|pubsub|F|O(N) with the subscribers of the channel on this node|shardchannel message|Sends a message to the subscribers of a shard channel on all nodes, at most once.
        ssubscribe|7.0.0|pubsub|S|O(N) with the number of channels|shardchannel...|Subscribes to shard channels.
        strlen|2.2.0|string|F|O(1)|key:key|Tells the length of a value.
        subscribe|2.0.0|pubsub|S|O(N) with the number of channels|channel...|Subscribes to channels.
        substr|1.0.0|string|S|O(N) with the bytes returned|key:key start:integer end:integer|Reads a part of a value.
        sunsubscribe|7.0.0|pubsub|S|O(N) with the number of channels|[shardchannel...]|Ends subscriptions to shard channels.
        time|2.6.0|server|F|O(1)||Tells the server's time.
        touch|3.2.1|generic|F|O(N) with the number of keys|key:key...|Counts which of the keys are there.
        ttl|1.0.0|generic|F|O(1)|key:key|Tells how many seconds a key has left.
        type|1.0.0|generic|F|O(1)|key:key|Tells what a value is.
        unlink|4.0.0|generic|F|O(N) with the number of keys|key:key...|Deletes keys.
        unsubscribe|2.0.0|pubsub|S|O(N) with the number of channels|[channel...]|Ends subscriptions to channels.
        unwatch|2.2.0|transactions|F|O(1)||Forgets which keys are watched.
        wait|3.0.0|generic|S|O(1)|numreplicas:integer timeout:integer|Answers how many replicas besides the leader have all acknowledged writes.
        watch|2.2.0|transactions|F|O(N) with the number of keys|key:key...|Lets a transaction happen only if keys do not change before it.
        """;

    private static readonly FrozenDictionary<string, CommandDocs> ByName = Table
        .Split('\n')
        .Select(static l => l.TrimEnd('\r'))
        .ToFrozenDictionary(static l => l[..l.IndexOf('|', StringComparison.Ordinal)], Read, StringComparer.Ordinal);

    /// <summary>What is known of a command; null: nothing.</summary>
    public static CommandDocs? Of(string name) => ByName.GetValueOrDefault(name);

    private static CommandDocs Read(string line)
    {
        // The syntax may hold the separator; the summary and what stands before the syntax do not.
        string[] parts = line.Split('|');
        string syntax = string.Join('|', parts[5..^1]);
        return new CommandDocs(parts[1], parts[2], parts[3] == "F", parts[4], CommandSyntax.Parse(syntax), parts[^1]);
    }
}
