using System.Buffers;
using Henge.Core;
using Henge.Node.Api;

namespace Henge.Node.StateMachine;

/// <summary>Why a command could not be done. The numbers are on the wire.</summary>
public enum CommandProblem : byte
{
    /// <summary>Nothing is wrong.</summary>
    None = 0,
    /// <summary>The value is not an integer of 64 bits in decimal text.</summary>
    NotAnInteger = 1,
    /// <summary>The sum is not an integer of 64 bits.</summary>
    IntegerOverflow = 2,
    /// <summary>The value is not a finite number in decimal text.</summary>
    NotANumber = 3,
    /// <summary>The sum is not finite.</summary>
    NumberOverflow = 4,
    /// <summary>The value would be over its limit.</summary>
    ValueTooLarge = 5,
    /// <summary>The results of a transaction together are over <see cref="CommandLimits.MaxResultBytes"/>.</summary>
    ResultTooLarge = 6,
    /// <summary>The session is not known so far back that a retry could be distinguished from a new request.</summary>
    SequenceForgotten = 7,
    /// <summary>There are too many sessions that were used just now.</summary>
    TooManySessions = 8,
    /// <summary>This build does not know the command.</summary>
    UnknownCommand = 9,
    /// <summary>A retry of a request that was done, whose result was too large to keep.</summary>
    ResultForgotten = 10,
    /// <summary>The key holds a value of another kind: a hash where bytes are asked for, or bytes where a hash is.</summary>
    WrongKind = 11,
    /// <summary>The field is not an integer of 64 bits in decimal text.</summary>
    HashValueNotAnInteger = 12,
    /// <summary>The field is not a finite number in decimal text.</summary>
    HashValueNotANumber = 13,
    /// <summary>The stored hash would be over the limit of values.</summary>
    HashTooLarge = 14,
}
