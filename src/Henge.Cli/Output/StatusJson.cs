using System.Text.Json;
using Wire = Henge.Protocol.V1;

namespace Henge.Cli.Output;

/// <summary>The state of nodes as one JSON object.</summary>
internal static class StatusJson
{
    public static void Write(OutputWriter output, ClusterState state, ClusterVerdict verdict) =>
        JsonForm.WriteLine(
            output,
            json =>
            {
                WriteStatus(json, state.Own);
                json.WriteString("verdict", verdict.Word);
                json.WriteString("reason", verdict.Reason);
                if (state.All is null)
                {
                    return;
                }

                json.WriteObjects("nodes", state.All.Nodes, node =>
                {
                    json.WriteString("id", node.NodeId);
                    json.WriteString("address", node.Address);
                    if (state.StateOf(node.NodeId) is { Length: > 0 } stands)
                    {
                        json.WriteString("state", stands);
                    }

                    if (node.Error.Length > 0)
                    {
                        json.WriteString("error", node.Error);
                    }

                    if (node.Status is { } status)
                    {
                        json.WriteStartObject("status");
                        WriteStatus(json, status);
                        json.WriteEndObject();
                    }
                });
            });

    private static void WriteStatus(Utf8JsonWriter json, Wire.StatusResponse status)
    {
        json.WriteString("node", status.NodeId);
        json.WriteString("role", status.Role);
        json.WriteNumber("term", status.Term);
        json.WriteString("leader", status.LeaderId);
        json.WriteNumber("committed", status.CommittedIndex);
        json.WriteNumber("applied", status.AppliedIndex);
        json.WriteList("peers", status.Peers, json.WriteStringValue);
        json.WriteString("cluster", status.ClusterId);
        json.WriteString("address", status.Address);
        json.WriteString("henge_version", status.Version);
        json.WriteNumber("uptime_ms", status.UptimeMs);
        json.WriteBoolean("insecure", status.Insecure);
        if (status.RefusedPeers.Count > 0)
        {
            json.WriteList("refused_peers", status.RefusedPeers, json.WriteStringValue);
        }

        if (status.Elections is { } elections)
        {
            json.WriteStartObject("elections");
            json.WriteNumber("won", elections.Won);
            json.WriteList("round_us", elections.RoundUs, json.WriteNumberValue);
            json.WriteList("with_prevote_us", elections.WithPrevoteUs, json.WriteNumberValue);
            json.WriteEndObject();
        }

        if (status.Engine is { } engine)
        {
            json.WriteStartObject("engine");
            json.WriteString("name", engine.Name);
            json.WriteNumber("memtable_bytes", engine.MemtableBytes);
            json.WriteNumber("table_bytes", engine.TableBytes);
            json.WriteNumber("cache_bytes", engine.CacheBytes);
            json.WriteNumber("entries", engine.Entries);
            json.WriteNumber("write_amplification", engine.WriteAmplification);
            json.WriteObjects("levels", engine.Levels, level =>
            {
                json.WriteNumber("level", level.Level);
                json.WriteNumber("tables", level.Tables);
                json.WriteNumber("bytes", level.Bytes);
            });
            json.WriteEndObject();
        }

        if (status.Log is { } log)
        {
            json.WriteStartObject("log");
            json.WriteNumber("bytes", log.Bytes);
            json.WriteNumber("segments", log.Segments);
            json.WriteNumber("syncs", log.Syncs);
            json.WriteEndObject();
        }

        json.WriteObjects("shards", status.Shards, shard =>
        {
            json.WriteNumber("shard", shard.Shard);
            json.WriteString("role", shard.Role);
            json.WriteNumber("term", shard.Term);
            json.WriteString("leader", shard.LeaderId);
            json.WriteNumber("committed", shard.CommittedIndex);
            json.WriteNumber("applied", shard.AppliedIndex);
            json.WriteNumber("first", shard.FirstIndex);
            json.WriteNumber("last", shard.LastIndex);
            json.WriteNumber("last_version", shard.LastVersion);
            if (shard.Error.Length > 0)
            {
                json.WriteString("error", shard.Error);
            }
        });
    }
}
