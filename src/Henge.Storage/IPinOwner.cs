namespace Henge.Storage;

/// <summary>Owns the memory behind a <see cref="PinnedValue"/>.</summary>
public interface IPinOwner
{
    /// <summary>Lets go of one pin.</summary>
    void Unpin(nint token);
}
