using Henge.Core;

namespace Henge.Cluster.Tests;

/// <summary>
/// What <see cref="Placement.Create"/> gives, computed by another program from the description alone. A change of any of it is another
/// rule: raise <see cref="Placement.RuleVersion"/>.
/// </summary>
public sealed class PlacementRuleTests
{
    [Theory]
    [InlineData(1, 8, 4, "321 312 243 142 241 134 412 432")]
    [InlineData(
        1,
        64,
        5,
        "123 451 245 142 412 231 214 432 135 351 435 341 352 235 513 251 243 534 521 241 534 124 521 321 415 325 123 351 453 241 124 231 "
        + "421 413 512 345 514 513 531 245 134 542 413 125 523 354 231 325 412 153 543 342 352 135 245 142 425 251 123 312 342 453 543 "
        + "451")]
    [InlineData(2, 8, 4, "321 312 243 143 241 134 412 432")]
    [InlineData(
        2,
        64,
        5,
        "234 154 452 142 412 231 214 432 135 451 354 341 352 235 513 251 243 534 521 241 534 124 521 321 415 325 123 351 453 241 124 231 "
        + "421 413 512 345 514 513 531 245 134 542 413 125 523 354 231 325 412 153 543 342 352 135 245 142 425 251 123 312 342 453 543 "
        + "451")]
    public void Each_rule_places_shards_so(int rule, int shards, int members, string expected)
    {
        Placement placement = Placement.Create(new ShardMap(shards),
            new HashRing(Enumerable.Range(1, members).Select(static i => $"node{i}")), 3, rule);
        string found = string.Join(' ',
            Enumerable.Range(0, shards).Select(
            s => string.Concat(placement.ReplicasOf(new ShardId((uint)s)).Select(static m => m["node".Length..]))));
        Assert.Equal(2, Placement.RuleVersion);
        Assert.Equal(expected, found);
    }
}
