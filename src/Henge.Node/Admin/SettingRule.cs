using System.Globalization;
using Henge.Core;
using Henge.Node.Catalog;

namespace Henge.Node.Admin;

/// <summary>A setting of the cluster: its name, its entry in the catalog, and what values it takes.</summary>
/// <param name="Name">As operators write it.</param>
/// <param name="Key">As the catalog has it, behind <see cref="CatalogKeys.Setting"/>.</param>
/// <param name="Unit">In what it is counted: <c>ms</c>, or empty.</param>
/// <param name="Least">The least value.</param>
/// <param name="Most">The highest value.</param>
/// <param name="Default">What it is when nobody has set it; 0 when that is as the cluster was made.</param>
/// <param name="Text">What it does.</param>
internal sealed record SettingRule(string Name, string Key, string Unit, long Least, long Most, long Default, string Text)
{
    /// <summary>Reads a value, or says what is wrong with it.</summary>
    public bool TryRead(string text, out long value, out string problem)
    {
        bool isGood = long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out value) && value >= Least && value <= Most;
        problem = isGood ? "" : $"{Name} is a whole number{(Unit.Length > 0 ? " of " + Unit : "")} from {Least} to {Most}, not '{text}'.";
        return isGood;
    }
}
