use super::*;

fn shape(expression: &Expression) -> String {
    match &expression.kind {
        Kind::Number(number) => number.to_string(),
        Kind::Vector(selector) => {
            selector.matchers.iter().map(|m| m.name.clone()).collect::<Vec<_>>().join("+")
        }
        Kind::Negate(inner) => format!("-({})", shape(inner)),
        Kind::Binary(binary) => {
            format!("({} {:?} {})", shape(&binary.left), binary.operator, shape(&binary.right))
        }
        Kind::Call { function, arguments } => {
            format!("{}({})", function.name, arguments.iter().map(shape).collect::<Vec<_>>().join(","))
        }
        other => format!("{other:?}"),
    }
}

#[test]
fn operators_bind_as_in_prometheus() {
    for (text, expected) in [
        ("1 + 2 * 3", "(1 Add (2 Multiply 3))"),
        ("2 ^ 3 ^ 2", "(2 Power (3 Power 2))"),
        ("-2 ^ 2", "-((2 Power 2))"),
        ("2 ^ -3 * 4", "((2 Power -3) Multiply 4)"),
        ("8 / 4 / 2", "((8 Divide 4) Divide 2)"),
        ("a or b and c", "(__name__ Or (__name__ And __name__))"),
        ("1 + 2 == bool 3", "((1 Add 2) Equal 3)"),
        ("sum{a=\"1\"} + by", "(a+__name__ Add __name__)"),
        ("Inf + nan", "(inf Add NaN)"),
        ("rate(a:b[5m]) # and no more", "rate(Matrix"),
    ] {
        let shape = shape(&parse(text).unwrap_or_else(|error| panic!("{text}: {error}")));
        assert!(shape.starts_with(expected), "{text}: {shape}");
    }
}

#[test]
fn modifiers_are_understood_in_every_order() {
    for text in [
        "a offset 5m @ 100",
        "a @ end() offset -5m",
        "rate(a[5m] offset 1h)",
        "max_over_time(rate(a[5m])[1h:])",
        "max_over_time(rate(a[5m])[1h:30s] @ start() offset 1m)",
        "sum by (a, b,) (x)",
        "sum(x) without (a)",
        "SUM BY (a) (x) AND ON (a) y",
        "a * on (x) group_left (y, z) b",
        "a / ignoring (x) group_right b",
        "count_values(\"v\", x)",
        "{__name__=~\"a|b\", c!~`d\\.e`, f=''}",
        "label_join(x, 'a', ',', 'b', 'c', 'd')",
    ] {
        parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    }
}

#[test]
fn a_mistake_is_named_with_its_place_and_a_way_out() {
    for (text, expected) in [
        ("", "1:1: the expression is empty"),
        ("rate(x)", "1:6: argument 1 of rate is an instant vector, expected a range vector: write a range"),
        ("sum(\n  ratee(x[5m]))", "2:3: unknown function ratee: did you mean rate?"),
        ("x + holt_winters(x[5m], 1, 1)", "1:5: the function holt_winters is not supported"),
        ("x{a=1}", "1:5: unexpected the number 1, expected a text in quotes"),
        ("x{a=~\"(\"}", "1:6: the pattern \"(\" is invalid"),
        ("{a=\"\"}", "1:1: a selector needs"),
        ("1 > 2", "1:3: a comparison of two scalars needs `bool`"),
        ("x and 1", "1:3: and, or, unless stand between"),
        ("x + bool y", "1:3: `bool` stands only"),
        ("sum(x) offset 5m", "1:1: offset stands only"),
        ("x[5m", "1:5: unexpected the end, expected `]`"),
        ("(x + y)[5m]", "1:2: only a selector has a range"),
        ("topk(x)", "1:1: topk takes 2 arguments, not 1"),
        ("x y", "1:3: unexpected `y`"),
        ("x{a=\"b}", "1:5: this text is not closed"),
        ("5mm", "1:1: `5mm` is neither"),
        ("rate(x[5m], 1)", "1:1: rate takes 1 argument, not 2"),
        ("x ? y", "1:3: unexpected character '?'"),
    ] {
        let error = parse(text).map(|_| ()).expect_err(text).to_string();
        assert!(error.starts_with(expected), "{text}: {error}");
    }
    let deep = format!("{}1{}", "(".repeat(5000), ")".repeat(5000));
    assert!(parse(&deep).is_err_and(|error| error.to_string().contains("nests deeper")));
}
