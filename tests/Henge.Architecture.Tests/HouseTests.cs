namespace Henge.Architecture.Tests;

/// <summary>The sources against the picture of docs/architecture.md.</summary>
public sealed class HouseTests
{
    private const string BetweenProjects = "projects";

    private static readonly IReadOnlyList<SourceFile> Files = SourceFile.ReadAll();
    private static readonly IReadOnlyDictionary<string, DrawnHouse> Drawn = DrawnHouse.ReadAll();
    private static readonly IReadOnlyDictionary<string, SortedDictionary<Arrow, string>> Found = SourceArrows.Find(Files);

    public static TheoryData<string> Houses => [BetweenProjects, .. Files.Select(f => f.Project).Distinct()];

    [Fact]
    public void Each_project_is_drawn_and_no_other() =>
        Assert.Equal(Houses.Select(row => row.Data).Order(StringComparer.Ordinal), Drawn.Keys.Order(StringComparer.Ordinal));

    [Theory]
    [MemberData(nameof(Houses))]
    public void Each_room_is_drawn_once_and_no_other(string house)
    {
        IEnumerable<string> rooms =
            house == BetweenProjects ? Files.Select(f => f.Project) : Files.Where(f => f.Project == house).Select(f => f.Room);
        Assert.Equal(rooms.Distinct().Order(StringComparer.Ordinal), Drawn[house].Rooms.Order(StringComparer.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Houses))]
    public void An_arrow_that_is_not_drawn_is_refused(string house)
    {
        DrawnHouse drawn = Drawn[house];
        AssertNone(
            Found[house]
                .Where(found => !drawn.Arrows.Contains(found.Key) && !drawn.ToGo.Contains(found.Key))
                .Select(found => $"{found.Key}: {found.Value}"));
    }

    [Theory]
    [MemberData(nameof(Houses))]
    public void A_drawn_arrow_that_is_not_there_is_refused(string house) =>
        AssertNone(Drawn[house].Arrows.Concat(Drawn[house].ToGo).Where(drawn => !Found[house].ContainsKey(drawn)));

    [Theory]
    [MemberData(nameof(Houses))]
    public void Arrows_point_down(string house)
    {
        DrawnHouse drawn = Drawn[house];
        List<string> floors = [.. drawn.Rooms];
        AssertNone(drawn.Arrows.Where(arrow => floors.IndexOf(arrow.From) >= floors.IndexOf(arrow.To)));
    }

    [Fact]
    public void Arrows_that_are_to_go_become_fewer() =>
        // Lower it when one has gone; there is no reason to raise it.
        Assert.Equal(MostToGo, Drawn.Values.Sum(house => house.ToGo.Count));

    [Fact]
    public void The_namespace_of_a_file_is_its_folder() =>
        AssertNone(
            Files
                .Where(f =>
                    f.Namespace is not null
                    && f.Namespace != f.ExpectedNamespace
                    && !IsExtensionOfOthers(f.Namespace)
                    && !(f.Project == PublicInOneNamespace && f.Namespace == f.Project && f.IsPublic))
                .Select(f => $"{f.Path}: {f.Namespace}"));

    [Fact]
    public void Only_the_rooms_of_gRPC_know_its_messages() =>
        // What doors share knows no encoding, and no door reads what another one writes.
        AssertNone(
            Files
                .Where(f => f.Project == "Henge.Server" && f.Room is not ("Kv" or "Cluster" or "Calls" or "Hosting"))
                .Where(f =>
                    f.Usings.Any(static u => u == "Henge.Protocol.V1" || u.Split('.')[0] is "Google" or "Grpc")
                    || f.Names.Any(static n => n.Qualifier is "V1" or "Protobuf"))
                .Select(f => f.Path));

    private static void AssertNone<T>(IEnumerable<T> found)
    {
        string[] all = [.. found.Select(static one => one?.ToString() ?? "")];
        Assert.Equal([], all);
    }

    [Fact]
    public void What_ships_is_built_without_planted_bugs()
    {
        string[] projects = Directory.GetFiles(Path.Combine(Repository.Root, "src"), "*.csproj", SearchOption.AllDirectories);
        string[] switched =
        [
            .. projects.Where(p =>
                File.ReadAllText(p)
                    .Contains("""Include="Henge.PlantedBugs" Value="false" Trim="true" """.TrimEnd(), StringComparison.Ordinal)),
        ];
        string[] programs =
        [
            .. projects.Where(p => File.ReadAllText(p).Contains("<OutputType>Exe</OutputType>", StringComparison.Ordinal)),
        ];
        Assert.NotEmpty(programs);
        Assert.Equal(programs.Order(StringComparer.Ordinal), switched.Order(StringComparer.Ordinal));
    }

    /// <summary>Extension methods stand where their callers look for them.</summary>
    private static bool IsExtensionOfOthers(string name) => name.StartsWith("Microsoft.", StringComparison.Ordinal);

    private const int MostToGo = 0;

    // Whoever uses the client imports one namespace; what is public in it stands in rooms, too.
    private const string PublicInOneNamespace = "Henge.Client";
}
