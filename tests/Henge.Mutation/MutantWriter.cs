using System.Globalization;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using static Microsoft.CodeAnalysis.CSharp.SyntaxFactory;

namespace Henge.Mutation;

/// <summary>
/// Writes the mutants of a file into it, each behind the switch: <c>a &lt; b</c> becomes <c>(Is(7) ? a &lt;= b : a &lt; b)</c>, a condition
/// becomes <c>c &amp;&amp; !Is(8)</c> and <c>c || Is(9)</c>, a statement <c>if (!Is(10)) statement</c>. Left alone are invariants (which
/// only look), what is thrown and told, and planted bugs (which are mutants of their own).
/// </summary>
internal sealed class MutantWriter(string file, SemanticModel model, MutantBook book) : CSharpSyntaxRewriter
{
    private static readonly Dictionary<SyntaxKind, SyntaxKind> Others = new()
    {
        [SyntaxKind.LessThanExpression] = SyntaxKind.LessThanOrEqualExpression,
        [SyntaxKind.LessThanOrEqualExpression] = SyntaxKind.LessThanExpression,
        [SyntaxKind.GreaterThanExpression] = SyntaxKind.GreaterThanOrEqualExpression,
        [SyntaxKind.GreaterThanOrEqualExpression] = SyntaxKind.GreaterThanExpression,
        [SyntaxKind.EqualsExpression] = SyntaxKind.NotEqualsExpression,
        [SyntaxKind.NotEqualsExpression] = SyntaxKind.EqualsExpression,
        [SyntaxKind.AddExpression] = SyntaxKind.SubtractExpression,
        [SyntaxKind.SubtractExpression] = SyntaxKind.AddExpression,
        [SyntaxKind.MultiplyExpression] = SyntaxKind.DivideExpression,
        [SyntaxKind.DivideExpression] = SyntaxKind.MultiplyExpression,
        [SyntaxKind.BitwiseAndExpression] = SyntaxKind.BitwiseOrExpression,
        [SyntaxKind.BitwiseOrExpression] = SyntaxKind.BitwiseAndExpression,
    };

    public override SyntaxNode? VisitMethodDeclaration(MethodDeclarationSyntax node) =>
        node.Identifier.Text is "ToString" or "GetHashCode" ? node : base.VisitMethodDeclaration(node);

    public override SyntaxNode? VisitFieldDeclaration(FieldDeclarationSyntax node) =>
        // What runs once for a process cannot be switched.
        node.Modifiers.Any(static m => m.IsKind(SyntaxKind.ConstKeyword) || m.IsKind(SyntaxKind.StaticKeyword))
            ? node
            : base.VisitFieldDeclaration(node);

    public override SyntaxNode? VisitEnumDeclaration(EnumDeclarationSyntax node) => node;

    public override SyntaxNode? VisitAttributeList(AttributeListSyntax node) => node;

    public override SyntaxNode? VisitParameter(ParameterSyntax node) => node;

    public override SyntaxNode? VisitThrowStatement(ThrowStatementSyntax node) => node;

    public override SyntaxNode? VisitThrowExpression(ThrowExpressionSyntax node) => node;

    public override SyntaxNode? VisitInterpolatedStringExpression(InterpolatedStringExpressionSyntax node) => node;

    public override SyntaxNode? VisitExpressionStatement(ExpressionStatementSyntax node)
    {
        if (node.Expression is InvocationExpressionSyntax call && call.Expression.ToString() == "Invariant.Check")
        {
            return node;
        }

        return Leaving(node, (StatementSyntax)base.VisitExpressionStatement(node)!);
    }

    public override SyntaxNode? VisitContinueStatement(ContinueStatementSyntax node) => Leaving(node, node);

    public override SyntaxNode? VisitReturnStatement(ReturnStatementSyntax node)
    {
        if (node.Expression is null)
        {
            return Leaving(node, node);
        }

        var visited = (ReturnStatementSyntax)base.VisitReturnStatement(node)!;
        return visited.WithExpression(Forced(node.Expression, visited.Expression!));
    }

    public override SyntaxNode? VisitArrowExpressionClause(ArrowExpressionClauseSyntax node)
    {
        var visited = (ArrowExpressionClauseSyntax)base.VisitArrowExpressionClause(node)!;
        return visited.WithExpression(Forced(node.Expression, visited.Expression));
    }

    public override SyntaxNode? VisitIfStatement(IfStatementSyntax node)
    {
        var visited = (IfStatementSyntax)base.VisitIfStatement(node)!;
        return visited.WithCondition(Forced(node.Condition, visited.Condition));
    }

    public override SyntaxNode? VisitWhileStatement(WhileStatementSyntax node)
    {
        var visited = (WhileStatementSyntax)base.VisitWhileStatement(node)!;
        return visited.WithCondition(Forced(node.Condition, visited.Condition, toTrue: false));
    }

    public override SyntaxNode? VisitConditionalExpression(ConditionalExpressionSyntax node)
    {
        var visited = (ConditionalExpressionSyntax)base.VisitConditionalExpression(node)!;
        return visited.WithCondition(Forced(node.Condition, visited.Condition));
    }

    public override SyntaxNode? VisitAssignmentExpression(AssignmentExpressionSyntax node)
    {
        var visited = (AssignmentExpressionSyntax)base.VisitAssignmentExpression(node)!;
        if (node.IsKind(SyntaxKind.AddAssignmentExpression) || node.IsKind(SyntaxKind.SubtractAssignmentExpression))
        {
            bool adds = node.IsKind(SyntaxKind.AddAssignmentExpression);
            SyntaxKind other = adds ? SyntaxKind.SubtractAssignmentExpression : SyntaxKind.AddAssignmentExpression;
            return OneOf(node, visited, AssignmentExpression(other, node.Left, node.Right));
        }

        // A field of a message or a result that is not set.
        return node.Parent is InitializerExpressionSyntax && node.Right is not LiteralExpressionSyntax
            ? visited.WithRight(OneOf(node.Right, visited.Right, ParseExpression("default!")))
            : visited;
    }

    public override SyntaxNode? VisitMemberAccessExpression(MemberAccessExpressionSyntax node)
    {
        SyntaxNode? visited = base.VisitMemberAccessExpression(node);
        return node.Name.Identifier.Text == "Next" && IsValueOfOneType(node)
            ? OneOf(node, (ExpressionSyntax)visited!, node.Expression)
            : visited;
    }

    public override SyntaxNode? VisitInvocationExpression(InvocationExpressionSyntax node)
    {
        if (node.Expression.ToString() is "nameof" or "Require")
        {
            // Of what is required, conditions are looked at, and not the words.
            return node.Expression.ToString() == "nameof" ? node : base.VisitInvocationExpression(node);
        }

        var visited = (ExpressionSyntax)base.VisitInvocationExpression(node)!;
        string? other = node.Expression.ToString() switch
        {
            "Math.Min" => "Math.Max",
            "Math.Max" => "Math.Min",
            _ => null,
        };
        return other is null ? visited : OneOf(node, visited, node.WithExpression(ParseExpression(other)));
    }

    public override SyntaxNode? VisitPrefixUnaryExpression(PrefixUnaryExpressionSyntax node)
    {
        var visited = (ExpressionSyntax)base.VisitPrefixUnaryExpression(node)!;
        return node.IsKind(SyntaxKind.LogicalNotExpression) && !book.IsPlantedBug(node.Operand)
            ? OneOf(node, visited, node.Operand)
            : visited;
    }

    public override SyntaxNode? VisitLiteralExpression(LiteralExpressionSyntax node) => node.Kind() switch
    {
        SyntaxKind.TrueLiteralExpression => OneOf(node, node, LiteralExpression(SyntaxKind.FalseLiteralExpression)),
        SyntaxKind.FalseLiteralExpression => OneOf(node, node, LiteralExpression(SyntaxKind.TrueLiteralExpression)),
        _ => node,
    };

    public override SyntaxNode? VisitBinaryExpression(BinaryExpressionSyntax node)
    {
        var visited = (BinaryExpressionSyntax)base.VisitBinaryExpression(node)!;
        if (node.IsKind(SyntaxKind.LogicalAndExpression) || node.IsKind(SyntaxKind.LogicalOrExpression))
        {
            // Each side as if it were not there.
            bool toTrue = node.IsKind(SyntaxKind.LogicalAndExpression);
            return visited
                .WithLeft(Forced(node.Left, visited.Left, toTrue, !toTrue))
                .WithRight(Forced(node.Right, visited.Right, toTrue, !toTrue));
        }

        return Others.TryGetValue(node.Kind(), out SyntaxKind other) && !IsOf(SpecialType.System_String, node)
            ? OneOf(node, visited, BinaryExpression(other, node.Left, node.Right))
            : visited;
    }

    private static ExpressionSyntax Is(int id) =>
        ParseExpression(string.Create(CultureInfo.InvariantCulture, $"{MutantSwitch.TypeName}.Is({id})"));

    private bool IsOf(SpecialType type, ExpressionSyntax node) => model.GetTypeInfo(node).Type?.SpecialType == type;

    private bool IsValueOfOneType(MemberAccessExpressionSyntax node) =>
        model.GetTypeInfo(node).Type is { IsValueType: true } type
        && SymbolEqualityComparer.Default.Equals(type, model.GetTypeInfo(node.Expression).Type);

    /// <summary>An expression, or another in its place.</summary>
    private ExpressionSyntax OneOf(ExpressionSyntax node, ExpressionSyntax visited, ExpressionSyntax other)
    {
        if (book.TryAdd(file, node, other.WithoutTrivia().ToString(), out int id))
        {
            visited = ParenthesizedExpression(
                ConditionalExpression(
                    Is(id),
                    ParenthesizedExpression(other.WithoutTrivia()),
                    ParenthesizedExpression(visited.WithoutTrivia())))
                .WithTriviaFrom(visited)
                .WithAdditionalAnnotations(MutantBook.Mark(id));
        }

        return visited;
    }

    /// <summary>A condition, which may also be always false or always true.</summary>
    private ExpressionSyntax Forced(ExpressionSyntax node, ExpressionSyntax visited, bool toTrue = true, bool toFalse = true)
    {
        if (!IsOf(SpecialType.System_Boolean, node) || node is LiteralExpressionSyntax || book.IsPlantedBug(node))
        {
            return visited;
        }

        if (toFalse && book.TryAdd(file, node, "false", out int id))
        {
            visited = Joined(SyntaxKind.LogicalAndExpression, visited, PrefixUnaryExpression(SyntaxKind.LogicalNotExpression, Is(id)), id);
        }

        if (toTrue && book.TryAdd(file, node, "true", out id))
        {
            visited = Joined(SyntaxKind.LogicalOrExpression, visited, Is(id), id);
        }

        return visited;
    }

    private static ParenthesizedExpressionSyntax Joined(SyntaxKind kind, ExpressionSyntax visited, ExpressionSyntax with, int id) =>
        ParenthesizedExpression(BinaryExpression(kind, ParenthesizedExpression(visited.WithoutTrivia()), with))
            .WithTriviaFrom(visited)
            .WithAdditionalAnnotations(MutantBook.Mark(id));

    /// <summary>A statement, or nothing.</summary>
    private StatementSyntax Leaving(StatementSyntax node, StatementSyntax visited)
    {
        if (book.TryAdd(file, node, "", out int id))
        {
            visited = IfStatement(PrefixUnaryExpression(SyntaxKind.LogicalNotExpression, Is(id)), Block(visited.WithoutTrivia()))
                .WithTriviaFrom(visited)
                .WithAdditionalAnnotations(MutantBook.Mark(id));
        }

        return visited;
    }
}
