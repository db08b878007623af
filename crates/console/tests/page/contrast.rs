//! Contrasts as WCAG 2.2 computes them, AA: 4.5 for text, 3 for signs, lines and borders that mean something.

use crate::files;
use std::collections::HashMap;

const TEXT: f64 = 4.5;
const SIGN: f64 = 3.0;
const BACKGROUNDS: [&str; 3] = ["page", "surface", "sunken"];

type Colour = [u8; 3];

/// The colours of the theme by name, for light and for dark.
fn theme() -> HashMap<String, [Colour; 2]> {
    let (_, text) = files("css").into_iter().find(|(path, _)| path.ends_with("theme.css")).unwrap();
    text.lines()
        .filter_map(|line| {
            let (name, value) = line.trim().strip_prefix("--")?.split_once(": light-dark(")?;
            let (light, dark) = value.strip_suffix(");")?.split_once(", ")?;
            Some((name.to_owned(), [colour(light)?, colour(dark)?]))
        })
        .collect()
}

fn colour(text: &str) -> Option<Colour> {
    let digits = text.strip_prefix('#')?;
    let part = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    Some([part(0)?, part(2)?, part(4)?])
}

fn linear(colour: Colour) -> [f64; 3] {
    colour.map(|part| {
        let part = f64::from(part) / 255.0;
        if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    })
}

fn encoded(part: f64) -> f64 {
    let part = part.clamp(0.0, 1.0);
    255.0 * if part <= 0.003_130_8 { part * 12.92 } else { 1.055 * part.powf(1.0 / 2.4) - 0.055 }
}

fn luminance(colour: Colour) -> f64 {
    let [red, green, blue] = linear(colour);
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

fn contrast(a: Colour, b: Colour) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// Pairs that fall short, by name and theme.
fn short(pairs: &[(&str, &str)], least: f64) -> Vec<String> {
    let theme = theme();
    let mut found = Vec::new();
    for (front, back) in pairs {
        for (i, mode) in ["light", "dark"].into_iter().enumerate() {
            let reached = contrast(theme[*front][i], theme[*back][i]);
            if reached < least {
                found.push(format!("{front} on {back}, {mode}: {reached:.2}"));
            }
        }
    }
    found
}

#[test]
fn text_is_readable_on_every_ground_in_both_themes() {
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    for front in ["text", "muted", "accent", "ok", "warn", "bad"] {
        pairs.extend(BACKGROUNDS.map(|back| (front, back)));
    }
    for tone in ["ok", "warn", "bad", "accent"] {
        let tint: &str = match tone {
            "ok" => "ok-tint",
            "warn" => "warn-tint",
            "bad" => "bad-tint",
            _ => "accent-tint",
        };
        pairs.extend([(tone, tint), ("text", tint), ("muted", tint)]);
    }
    pairs.extend([("on-accent", "accent"), ("page", "text"), ("accent", "bad-tint")]);
    assert_eq!(short(&pairs, TEXT), Vec::<String>::new());
}

#[test]
fn signs_and_borders_are_seen_in_both_themes() {
    let tiers =
        ["balancer", "app", "cache", "database", "queue", "worker", "coordination", "observer", "other"];
    let names: Vec<String> = tiers.iter().map(|tier| format!("tier-{tier}")).chain(["line".into()]).collect();
    let pairs: Vec<(&str, &str)> =
        names.iter().flat_map(|name| BACKGROUNDS.map(|back| (name.as_str(), back))).collect();
    assert_eq!(short(&pairs, SIGN), Vec::<String>::new());
}

#[test]
fn neighbouring_tiers_differ_without_red_and_green() {
    // As somebody sees it who lacks the red cones or the green ones (Viénot, Brettel and Mollon, 1999).
    const PROTAN: [[f64; 3]; 3] = [[0.1124, 0.8876, 0.0], [0.1124, 0.8876, 0.0], [0.0040, -0.0040, 1.0]];
    const DEUTAN: [[f64; 3]; 3] = [[0.2928, 0.7072, 0.0], [0.2928, 0.7072, 0.0], [-0.0223, 0.0223, 1.0]];
    /// Of the 442 between black and white.
    const APART: f64 = 40.0;
    let pairs = [
        ("balancer", "app"),
        ("app", "cache"),
        ("cache", "database"),
        ("app", "database"),
        ("app", "queue"),
        ("queue", "worker"),
        ("queue", "database"),
        ("worker", "database"),
        ("worker", "cache"),
    ];
    let theme = theme();
    for (a, b) in pairs {
        for (i, mode) in ["light", "dark"].into_iter().enumerate() {
            let (one, two) = (theme[&format!("tier-{a}")][i], theme[&format!("tier-{b}")][i]);
            for (kind, matrix) in [("protan", PROTAN), ("deutan", DEUTAN)] {
                let seen = |colour| {
                    matrix.map(|row| encoded(row.iter().zip(linear(colour)).map(|(m, c)| m * c).sum()))
                };
                let distance =
                    seen(one).iter().zip(seen(two)).map(|(x, y)| (x - y).powi(2)).sum::<f64>().sqrt();
                assert!(distance > APART, "{a} and {b}, {mode}, {kind}: {distance:.0}");
            }
        }
    }
}
