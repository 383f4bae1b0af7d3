#!/usr/bin/env bash
# Runs db_bench's workloads on RocksDB and on Henge's engine in turn, on the same disk, with the same keys, values, memory and modes, and prints the ratios.
#
#   bench/engine-vs-rocksdb.sh [NUM] [DIRECTORY]        NUM keys (default 2,000,000); data goes below DIRECTORY (default: a temporary one)
#
# Both write their logs to the page cache without a sync, except in fillsync; both have 1 GiB of memory for blocks, Bloom filters of 10 bits a key, CRC-32C,
# no compression, one flush and one compaction at a time. Both may drop overwritten values. Each side runs three times, in turn; the table shows the medians.
set -euo pipefail
cd "$(dirname "$0")/.."
num=${1:-2000000}
dir=${2:-$(mktemp -d)}
rounds=${ROUNDS:-3}
workloads=${WORKLOADS:-fillseq,fillrandom,overwrite,readrandom,readmissing,seekrandom,readseq,readwhilewriting}

if ! command -v db_bench >/dev/null; then
    echo "Installing rocksdb-tools (Debian)…" >&2
    apt-get install -y -qq rocksdb-tools >/dev/null
fi

dotnet build src/Henge.Tool -c Release -v q -nologo >&2
henge=(src/Henge.Tool/bin/Release/net10.0/henge bench engine)
mkdir -p "$dir"
results=$(mktemp)
trap 'rm -rf "$results" "$dir/henge" "$dir/rocksdb"' EXIT

syncs=${SYNCS:-5000}

run_henge() { # threads workloads label [options]
    "${henge[@]}" "${@:4}" --db="$dir/henge" --num="$num" --threads="$1" --seed=1 --seek-nexts=10 --memory=1073741824 --benchmarks="$2" --output=json |
        awk -v label="$3" -F'[:,]' '/"name"/ { gsub(/[ "]/, "", $2); name = $2 } /"operationsPerSecond"/ { print "henge", name label, $2 + 0 }' >>"$results"
    rm -rf "$dir/henge"
}

run_rocksdb() { # threads workloads label [options]
    db_bench "${@:4}" --db="$dir/rocksdb" --num="$num" --threads="$1" --seed=1 --seek_nexts=10 --key_size=16 --value_size=100 --compression_type=none --bloom_bits=10 \
        --cache_size=1073741824 --checksum_type=1 --max_background_jobs=2 --level_compaction_dynamic_level_bytes=true --benchmarks="$2" 2>/dev/null |
        tr '\r' '\n' | awk -v label="$3" '/ops\/sec/ { for (i = 2; i <= NF; i++) if ($i == "ops/sec") print "rocksdb", $1 label, $(i - 1) }' >>"$results"
    rm -rf "$dir/rocksdb"
}

for round in $(seq "$rounds"); do
    echo "Round $round of $rounds…" >&2
    run_rocksdb 1 "$workloads" ""
    run_henge 1 "$workloads" ""

    # Synced writes wait for the disk: fewer of them, by one thread and by eight that can share syncs.
    for threads in 1 8; do
        run_rocksdb "$threads" fillsync "$([[ $threads == 1 ]] || echo "($threads)")" --writes="$((syncs / threads))"
        run_henge "$threads" fillsync "$([[ $threads == 1 ]] || echo "($threads)")" --writes="$((syncs / threads))"
    done

    if [[ $workloads == *readrandom* ]]; then
        # The load is done by one thread each, the reads by two.
        db_bench --db="$dir/rocksdb" --num="$num" --seed=1 --key_size=16 --value_size=100 --compression_type=none --bloom_bits=10 --benchmarks=fillrandom >/dev/null 2>&1
        db_bench --use_existing_db=1 --db="$dir/rocksdb" --num="$num" --threads=2 --seed=9 --key_size=16 --value_size=100 --compression_type=none --bloom_bits=10 \
            --cache_size=1073741824 --checksum_type=1 --benchmarks=readrandom 2>/dev/null |
            tr '\r' '\n' | awk '/ops\/sec/ { for (i = 2; i <= NF; i++) if ($i == "ops/sec") print "rocksdb", $1 "(2)", $(i - 1) }' >>"$results"
        rm -rf "$dir/rocksdb"
        "${henge[@]}" --db="$dir/henge" --num="$num" --seed=1 --memory=1073741824 --benchmarks=fillrandom >/dev/null
        "${henge[@]}" --db="$dir/henge" --use-existing-db --num="$num" --threads=2 --seed=9 --memory=1073741824 --benchmarks=readrandom --output=json |
            awk -F'[:,]' '/"name"/ { gsub(/[ "]/, "", $2); name = $2 } /"operationsPerSecond"/ { print "henge", name "(2)", $2 + 0 }' >>"$results"
        rm -rf "$dir/henge"
    fi
done

sort -k1,2 -k3,3g "$results" | awk '
    function finish() { if (n) value[key] = sorted[int((n + 1) / 2)]; n = 0 }
    { if ($1 " " $2 != key) { finish(); key = $1 " " $2; if (!($2 in seen)) { seen[$2] = 1; order[++count] = $2 } } sorted[++n] = $3 }
    END {
        finish()
        printf "%-18s %14s %14s %8s\n", "workload", "RocksDB ops/s", "Henge ops/s", "ratio"
        for (i = 1; i <= count; i++) { w = order[i]; r = value["rocksdb " w]; h = value["henge " w]; if (r && h) printf "%-18s %14.0f %14.0f %8.2f\n", w, r, h, h / r }
    }'
