//! `policy check`: prints the verdict, the missing permissions, the findings and the notices.

use std::io::{self, Write};

use policy::{CheckOutput, Finding, PolicyReport, Principal, ProblemLevel, Severity, Verdict, check};

use super::input::read_documents;
use super::{CheckArguments, REJECTED, UNREADABLE};
use crate::console::{TextStyle, Tone, escape_controls, print_error_line};

/// How many further actions are named in one finding.
const MAX_ACTIONS_SHOWN: usize = 6;

pub(super) fn run(arguments: &CheckArguments, out: &mut dyn Write) -> io::Result<u8> {
    #[expect(clippy::disallowed_methods, reason = "the clock is taken at the program's edge")]
    let now = jiff::Timestamp::now();
    let subject = Principal {
        account_id: arguments.account_id.clone(),
        user_name: arguments.user_name.clone(),
        user_path: arguments.user_path.clone(),
        region: arguments.region.map(|region| region.as_str().to_owned()),
        source_ip: arguments.source_ip.clone(),
        now: Some(now.to_string()),
        ..Principal::default()
    };
    if let Some((field, problem)) = subject.invalid_field() {
        print_error_line(format_args!("--{} {problem}", field.replace('_', "-")))?;
        return Ok(UNREADABLE);
    }
    let Some(documents) = read_documents(&arguments.files, arguments.json, out)? else { return Ok(UNREADABLE) };
    let report = check(&documents, &subject);
    if arguments.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&CheckOutput::new(&report, &documents))?)?;
    } else {
        let style = TextStyle::from_environment();
        for (file, document) in arguments.files.iter().zip(&documents) {
            if let Some(unwrapped) = document.unwrapped() {
                let text = escape_controls(format_args!("{}: {}", file.display(), unwrapped.message));
                writeln!(out, "{} {text}", style.apply(Tone::Quiet, "read"))?;
            }
            for problem in document.warnings() {
                let (tone, level) = match problem.level {
                    ProblemLevel::Suggestion => (Tone::Quiet, "suggestion"),
                    ProblemLevel::Warning | ProblemLevel::Error => (Tone::Doubtful, "warning"),
                };
                let text = escape_controls(format_args!("{}: {problem}", file.display()));
                writeln!(out, "{} {text}", style.apply(tone, level))?;
            }
        }
        print_report(&report, style, out)?;
    }
    Ok(if report.verdict.is_acceptable() { 0 } else { REJECTED })
}

fn print_report(report: &PolicyReport, style: TextStyle, out: &mut dyn Write) -> io::Result<()> {
    let (tone, meaning) = match report.verdict {
        Verdict::Minimal => (Tone::Good, "exactly what is needed"),
        Verdict::Sufficient => (Tone::Good, "all that is needed, and nothing that is too much"),
        Verdict::Insufficient => (Tone::Bad, "something that is needed is missing"),
        Verdict::Overprivileged => (Tone::Bad, "more than a key may be able to do"),
    };
    writeln!(out, "{}: {meaning}", style.apply(tone, report.verdict.as_str()))?;
    let assumed = if report.principal.assumed.is_empty() {
        String::new()
    } else {
        format!(" (assumed: {})", report.principal.assumed.join(", "))
    };
    writeln!(
        out,
        "{}",
        style.apply(Tone::Quiet, &format!("for {} in {}{assumed}", report.principal.user_arn, report.principal.region))
    )?;
    for question in &report.questions {
        let option = question.field.replace('_', "-");
        writeln!(
            out,
            "{} {} (--{option})",
            style.apply(Tone::Doubtful, "question"),
            escape_controls(&question.message)
        )?;
    }
    if !report.gaps.is_empty() {
        writeln!(out, "\n{}", style.apply(Tone::Strong, "Missing"))?;
        for gap in &report.gaps {
            writeln!(out, "  {}", escape_controls(&gap.explanation))?;
            writeln!(out, "    {}", style.apply(Tone::Quiet, &gap.remedy))?;
        }
    }
    print_findings("Findings", &report.findings, style, out)?;
    if report.findings_omitted > 0 {
        let rest = format!("and {} more; mend these and check again", report.findings_omitted);
        writeln!(out, "  {}", style.apply(Tone::Quiet, &rest))?;
    }
    print_findings("To know", &report.notices, style, out)
}

fn print_findings(title: &str, findings: &[Finding], style: TextStyle, out: &mut dyn Write) -> io::Result<()> {
    if findings.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", style.apply(Tone::Strong, title))?;
    for finding in findings {
        let tone = match finding.severity {
            Severity::Critical | Severity::High => Tone::Bad,
            Severity::Medium => Tone::Doubtful,
            Severity::Low => Tone::Quiet,
        };
        writeln!(
            out,
            "  {} {}",
            style.apply(tone, &format!("{:8}", finding.severity.as_str())),
            escape_controls(&finding.explanation)
        )?;
        if !finding.also.is_empty() {
            let mut names: Vec<&str> =
                finding.also.iter().map(|witness| witness.action.as_str()).take(MAX_ACTIONS_SHOWN).collect();
            if finding.also.len() > MAX_ACTIONS_SHOWN {
                names.push("…");
            }
            writeln!(out, "           {}", style.apply(Tone::Quiet, &format!("also {}", names.join(", "))))?;
        }
    }
    Ok(())
}
