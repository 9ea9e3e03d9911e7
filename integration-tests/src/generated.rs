//! Policy sets and requests made at random, as text: every atom over every type, values drawn from small pools
//! so that they meet, and requests with attributes missing, `null`, twice, and of wrong types.

use std::fmt::Write as _;

/// A small deterministic generator (splitmix64), so that a failing seed says everything.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The generator of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.bits() % limit as u64) as usize
    }

    /// True once in `n` times.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// One of `choices`.
    pub fn pick<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len())]
    }
}

/// A type with a pool of literals of the language, and their forms in JSON.
struct Kind {
    name: &'static str,
    schema: &'static str,
    literals: &'static [&'static str],
    json: &'static [&'static str],
}

const KINDS: &[Kind] = &[
    Kind {
        name: "text",
        schema: "STRING",
        literals: &[r#""""#, r#""a""#, r#""ab""#, r#""abc""#, r#""é*b""#, r#""a\"b\\""#],
        json: &[r#""""#, r#""a""#, r#""ab""#, r#""abc""#, r#""é*b""#, r#""a\"b\\""#, r#""\u0061b""#],
    },
    Kind {
        name: "region",
        schema: r#"ENUM("EU", "US", "APAC")"#,
        literals: &[r#""EU""#, r#""US""#, r#""APAC""#],
        json: &[r#""EU""#, r#""US""#, r#""APAC""#, r#""MARS""#],
    },
    Kind {
        name: "int",
        schema: "INT",
        literals: &["-9223372036854775808", "-1", "0", "5", "6", "9223372036854775807"],
        json: &[
            "-9223372036854775808",
            "-9223372036854775807",
            "-1",
            "0",
            "1",
            "4",
            "5",
            "6",
            "7",
            "9223372036854775806",
            "9223372036854775807",
            "5.0",
            "1e3",
        ],
    },
    Kind {
        name: "ratio",
        schema: "DECIMAL",
        literals: &["-1.5", "0", "0.1", "0.25", "5", "123456789.125"],
        json: &["-1.5", "0", "1e-18", "0.1", "0.25", "0.250", "0.2500001", "5", "5.0", "123456789.125"],
    },
    Kind { name: "flag", schema: "BOOL", literals: &["true", "false"], json: &["true", "false"] },
    Kind {
        name: "time",
        schema: "TIMESTAMP",
        literals: &[r#""2026-01-01T00:00:00Z""#, r#""2026-06-01T12:00:00.5Z""#],
        json: &[
            r#""2026-01-01T00:00:00Z""#,
            r#""2026-01-01T01:00:00+01:00""#,
            r#""2026-06-01T12:00:00.5Z""#,
            r#""2026-06-01T12:00:00.500000001Z""#,
            r#""1969-12-31T23:59:59.5Z""#,
            r#""yesterday""#,
        ],
    },
    Kind {
        name: "span",
        schema: "DURATION",
        literals: &["15m", "24h", "1d", "0s"],
        json: &[r#""15m""#, r#""24h""#, r#""900s""#, r#""0ms""#, r#""soon""#],
    },
    Kind {
        name: "ip",
        schema: "IP",
        literals: &[r#""10.1.2.3""#, r#""::1""#],
        json: &[r#""10.1.2.3""#, r#""::ffff:10.1.2.3""#, r#""11.0.0.1""#, r#""::1""#, r#""10.1.2""#],
    },
];

/// What SCOPE names and requests are of.
const RESOURCES: [&str; 6] =
    ["doc", "card", "log", "customer_data", "customer_date", "a_resource_of_a_long_name"];

const TEXT: usize = 0;
const IP: usize = 7;
const NETWORKS: [&str; 5] = ["10.0.0.0/8", "10.1.2.3/32", "0.0.0.0/0", "::/0", "::1/128"];
/// Kinds with an order.
const ORDERED: [usize; 4] = [2, 3, 5, 6];

/// Attributes `a.<kind>` and `b.<kind>` of every kind, and lists of them as `a.<kind>s` and `b.<kind>s`.
fn attribute(random: &mut Random, kind: usize, list: bool) -> String {
    let owner = random.pick(&["a", "b"]);
    format!("{owner}.{}{}", KINDS[kind].name, if list { "s" } else { "" })
}

/// The SCHEMA that declares all of them.
fn schema() -> String {
    let mut text = String::from("SCHEMA {\n");
    for owner in ["a", "b"] {
        for kind in KINDS {
            let _ = writeln!(text, "  {owner}.{}: {}", kind.name, kind.schema);
            let _ = writeln!(text, "  {owner}.{}s: LIST<{}>", kind.name, kind.schema);
        }
    }
    text.push_str("  resource.type: STRING\n}\n");
    text
}

fn literal(random: &mut Random, kind: usize) -> &'static str {
    random.pick(KINDS[kind].literals)
}

/// A literal, or another attribute of the kind.
fn operand(random: &mut Random, kind: usize) -> String {
    if random.once_in(4) { attribute(random, kind, false) } else { literal(random, kind).to_owned() }
}

/// A condition that bounds one attribute by literals, as an index can use it.
fn bounds(random: &mut Random, path: &str, kind: usize) -> String {
    let ordered = ORDERED.contains(&kind);
    match random.below(8) {
        0 | 1 if ordered => {
            let operator = random.pick(&["<", "<=", ">", ">="]);
            format!("{path} {operator} {}", literal(random, kind))
        }
        2 if ordered => {
            format!("{path} BETWEEN {} AND {}", literal(random, kind), literal(random, kind))
        }
        3 if ordered => {
            let (low, high) = (literal(random, kind), literal(random, kind));
            format!("{path} >= {low} AND {path} < {high}")
        }
        0..4 if kind == IP => format!("{path} IN CIDR \"{}\"", random.pick(&NETWORKS)),
        4 => format!("{path} != {}", literal(random, kind)),
        5 => format!("{path} IN [{}, {}]", literal(random, kind), literal(random, kind)),
        _ => format!("{path} == {}", literal(random, kind)),
    }
}

fn atom(random: &mut Random) -> String {
    let kind = random.below(KINDS.len());
    let ordered = ORDERED[random.below(ORDERED.len())];
    let path = |random: &mut Random, kind| attribute(random, kind, false);
    let not = if random.once_in(3) { "NOT " } else { "" };
    match random.below(14) {
        0 | 1 => {
            let operator = random.pick(&["==", "=", "!="]);
            format!("{} {operator} {}", path(random, kind), operand(random, kind))
        }
        2 => {
            let operator = random.pick(&["<", "<=", ">", ">="]);
            format!("{} {operator} {}", path(random, ordered), operand(random, ordered))
        }
        3 => {
            let (low, high) = (operand(random, ordered), operand(random, ordered));
            format!("{} BETWEEN {low} AND {high}", path(random, ordered))
        }
        4 | 5 => {
            let count = 1 + random.below(5);
            let entries: Vec<_> = (0..count).map(|_| literal(random, kind)).collect();
            format!("{} {not}IN [{}]", path(random, kind), entries.join(", "))
        }
        6 => format!("{} {not}IN {}", operand(random, kind), attribute(random, kind, true)),
        7 => format!("{} CONTAINS {}", attribute(random, kind, true), operand(random, kind)),
        8 => {
            let how = random.pick(&["STARTS WITH", "ENDS WITH", "CONTAINS"]);
            format!("{} {how} {}", path(random, TEXT), operand(random, TEXT))
        }
        9 => {
            let globs = ["*", "a*", "*b", "?", "a?c", "*é*", r"é\\*b", "", "a*b*c", "??"];
            format!("{} MATCHES \"{}\"", path(random, TEXT), random.pick(&globs))
        }
        10 => {
            format!("{} {not}IN CIDR \"{}\"", path(random, IP), random.pick(&NETWORKS))
        }
        11 => {
            let list = random.once_in(3);
            let path = attribute(random, kind, list);
            format!("{path} {}", random.pick(&["EXISTS", "IS MISSING"]))
        }
        12 => attribute(random, 4, false),
        _ => {
            let operator = random.pick(&["==", "!="]);
            format!("a.{0}s {operator} b.{0}s", KINDS[kind].name)
        }
    }
}

fn condition(random: &mut Random, depth: usize) -> String {
    if depth == 0 || random.once_in(3) {
        return atom(random);
    }
    match random.below(5) {
        0 => format!("NOT ({})", condition(random, depth - 1)),
        1 => format!("{{ {} }}", condition(random, depth - 1)),
        _ => {
            let joined = random.pick(&[" AND ", " OR "]);
            // Now and then so many that the generator must cut them.
            let count = if random.once_in(40) { 60 } else { 2 + random.below(3) };
            let parts: Vec<_> =
                (0..count).map(|_| format!("({})", condition(random, depth - 1))).collect();
            parts.join(joined)
        }
    }
}

const POINTS: [&str; 4] = ["INGRESS", "MESH", "DATA", "EGRESS"];

/// AT, EFFECTIVE and obligations, mostly none.
fn circumstances(random: &mut Random) -> String {
    let mut fields = String::new();
    let masks = random.once_in(4);
    if random.once_in(4) {
        let points: Vec<_> = POINTS.into_iter().filter(|_| random.once_in(2)).collect();
        let points = if points.is_empty() || masks { vec!["DATA", "MESH"] } else { points };
        let _ = writeln!(fields, "  AT: [{}]", points.join(", "));
    }
    if random.once_in(5) {
        let _ =
            writeln!(fields, "  EFFECTIVE: FROM {} UNTIL \"2026-09-01T00:00:00Z\"", literal(random, 5));
    }
    if masks {
        let _ = writeln!(fields, "  MASK: a.text WITH LAST({})", 1 + random.below(9));
    }
    if random.once_in(6) {
        let _ = writeln!(fields, "  LIMIT: 5 PER 1m BY a.int");
    }
    fields
}

/// A set of up to `policies` policies in one or two files, as (path, text).
#[must_use]
pub fn set(random: &mut Random, policies: usize) -> Vec<(String, String)> {
    let mut files = vec![("schema.aecp".to_owned(), schema())];
    let mut number = 0;
    // Half of the sets have one attribute that most of their scopes bound.
    let most = random.once_in(2).then(|| 2 + random.below(KINDS.len() - 2));
    for file in 0..1 + random.below(2) {
        let mut text = String::new();
        if random.once_in(3) {
            text.push_str("DEFAULT: DENY\n");
        }
        for _ in 0..random.below(policies) + 1 {
            number += 1;
            let resource = random.pick(&RESOURCES);
            let bounded = most.filter(|_| !random.once_in(4));
            let bounded = bounded.map(|kind| bounds(random, &format!("a.{}", KINDS[kind].name), kind));
            let scope = match (bounded, random.below(8)) {
                (Some(bounds), 0..3) => format!("requests WHERE {bounds} AND {}", atom(random)),
                (Some(bounds), _) => format!("requests WHERE {bounds}"),
                (None, 0) => "requests".to_owned(),
                (None, 1 | 2) => resource.to_owned(),
                (None, 3) => format!("{resource} WHERE {}", condition(random, 2)),
                (None, 4) => {
                    format!("{resource} WHERE a.region == {} AND {}", literal(random, 1), atom(random))
                }
                (None, 5) => {
                    format!("requests WHERE resource.type IN [\"{resource}\", \"other\", \"x\"]")
                }
                (None, 6) => {
                    format!("requests WHERE a.text == {} AND {}", literal(random, TEXT), atom(random))
                }
                _ => format!("requests WHERE {{ {} }}", condition(random, 2)),
            };
            let enforcement = random.pick(&["BLOCKING", "BLOCKING", "ADVISORY", "AUDIT_ONLY"]);
            let audit = random.pick(&["REQUIRED", "OPTIONAL", "NONE"]);
            let constraint = condition(random, 3);
            let circumstances = circumstances(random);
            let _ = write!(
                text,
                "POLICY p{number} {{\n  SCOPE: {scope}\n  CONSTRAINT: {constraint}\n  \
                 ENFORCEMENT: {enforcement}\n  AUDIT: {audit}\n{circumstances}}}\n"
            );
        }
        files.push((format!("file{file}.aecp"), text));
    }
    files
}

fn json_value(random: &mut Random, kind: usize, list: bool) -> String {
    match random.below(20) {
        0 => return "null".to_owned(),
        1 => return random.pick(&["7", "\"x\"", "true", "{}", "[]", "[null]", "1.25"]).to_owned(),
        _ => {}
    }
    if !list {
        return random.pick(KINDS[kind].json).to_owned();
    }
    let count = random.below(4);
    let mut entries: Vec<_> = (0..count).map(|_| random.pick(KINDS[kind].literals)).collect();
    if kind == 6 {
        entries.iter_mut().for_each(|entry| *entry = "\"15m\"");
    }
    if random.once_in(10) {
        entries.push(random.pick(KINDS[kind].json));
    }
    format!("[{}]", entries.join(","))
}

/// A request to such a set, as one JSON object: some attributes nested, some under dotted keys.
#[must_use]
pub fn request(random: &mut Random) -> String {
    let mut top = Vec::new();
    let missing_rate = 1 + random.below(8);
    for owner in ["a", "b"] {
        let mut nested = Vec::new();
        for (kind, about) in KINDS.iter().enumerate() {
            for list in [false, true] {
                if random.once_in(missing_rate) {
                    continue;
                }
                let name = format!("{}{}", about.name, if list { "s" } else { "" });
                let value = json_value(random, kind, list);
                if random.once_in(3) {
                    top.push(format!("\"{owner}.{name}\":{value}"));
                } else {
                    nested.push(format!("\"{name}\":{value}"));
                    // Given twice, once in each form.
                    if random.once_in(40) {
                        top.push(format!("\"{owner}.{name}\":{}", json_value(random, kind, list)));
                    }
                }
            }
        }
        if !nested.is_empty() {
            top.push(format!("\"{owner}\":{{{}}}", nested.join(",")));
        }
    }
    if !random.once_in(4) {
        let ty = match random.below(8) {
            0 => "3".to_owned(),
            1 => "\"other\"".to_owned(),
            _ => format!("\"{}\"", random.pick(&RESOURCES)),
        };
        top.push(format!("\"resource\":{{\"type\":{ty},\"id\":[1,{{\"deep\":2}}]}}"));
    }
    // Hosts fill in a time that is missing, so each request has one, good or not.
    let times = [KINDS[5].json, &["\"2026-03-01T00:00:00Z\"", "\"2026-09-01T00:00:00Z\"", "7"]].concat();
    let time = random.pick(&times).to_owned();
    let point = match random.below(4) {
        0 => String::new(),
        1 => ",\"point\":\"ELSEWHERE\"".to_owned(),
        _ => format!(",\"point\":\"{}\"", random.pick(&POINTS)),
    };
    top.push(format!("\"request\":{{\"time\":{time}{point}}}"));
    format!("{{{}}}", top.join(","))
}
