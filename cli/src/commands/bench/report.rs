//! What was measured, for people: first as it is, then beside the paper's figures.

use super::{Report, Times};

pub(super) fn print(report: &Report) {
    println!("{} rules, {} requests", report.rules, report.requests);
    for (what, times) in [("prepared", &report.prepared_ns), ("from JSON", &report.json_ns)] {
        let Times { mean, p50, p99, p999 } = times;
        println!(
            "  {what:<10} mean {mean:>8.1} ns   p50 {p50:>7} ns   p99 {p99:>7} ns   p99.9 {p999:>7} ns"
        );
    }
    println!("  compiled and loaded in {:.1} ms:", report.compile_ms.get("total"));
    for (phase, ms) in report.compile_ms.0.iter().filter(|(phase, _)| *phase != "total") {
        println!("    {:<10} {ms:>8.1} ms", phase.replace('_', "-"));
    }
    print_beside_the_paper(report);
}

/// The rows of the paper's Table 5, and of its Table 7, that one machine can show. The paper's latencies are of
/// whole requests through a sidecar, with the network; these are of the decision alone.
fn print_beside_the_paper(report: &Report) {
    let (prepared, json) = (&report.prepared_ns, &report.json_ns);
    let micros = |ns: u64| format!("{:.2} µs", ns as f64 / 1e3);
    println!("\n  {:<34} {:>14}   paper, 250 rules", "Table 5", "here");
    for (what, here, paper) in [
        ("policy evaluation p50", micros(prepared.p50), "–"),
        ("policy evaluation p99", micros(prepared.p99), "0.4 ms"),
        ("added to a request p50, from JSON", micros(json.p50), "0.3 ms with the network"),
        ("added to a request p99, from JSON", micros(json.p99), "0.7 ms with the network"),
        ("added to a request p99.9, from JSON", micros(json.p999), "1.2 ms with the network"),
        (
            "decisions a second and core",
            format!("{:.0}", 1e9 / json.mean),
            "101,800 requests a second in all",
        ),
        (
            "peak memory",
            format!("{:.1} MB", report.peak_rss_kb as f64 / 1024.0),
            "7 MB added to a sidecar; here the compiler is in it",
        ),
        (
            "hot reload and activation",
            format!("{:.1} ms", report.compile_ms.get("load")),
            "900 ms (Table 7)",
        ),
        ("policy module", format!("{:.1} kB", report.module_bytes as f64 / 1e3), "2.5 MB (Table 7)"),
    ] {
        println!("  {what:<35} {here:>13}   {paper}");
    }
}
