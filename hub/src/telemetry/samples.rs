//! [`MetricFamily`]: the metrics of `/metrics`, read from that very text, so that everything that is exported has the same names and
//! values.

/// What a family of metrics measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MetricKind {
    Counter,
    Gauge,
    Histogram,
}

/// A metric with all of its series.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MetricFamily {
    /// Its name without the suffixes of samples.
    pub(crate) name: String,
    pub(crate) help: String,
    pub(crate) kind: MetricKind,
    pub(crate) samples: Vec<Sample>,
}

/// A value of a series.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    /// The name in `/metrics`: for a counter and the parts of a histogram, with a suffix.
    pub(crate) name: String,
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) value: f64,
}

/// Reads metrics in the OpenMetrics text format, as `prometheus_client` writes it. Families of other kinds are left out. `None` if
/// it is not that format.
pub(crate) fn read_metrics(text: &str) -> Option<Vec<MetricFamily>> {
    let (mut families, mut help) = (Vec::<MetricFamily>::new(), "");
    for line in text.lines() {
        if let Some(described) = line.strip_prefix("# HELP ") {
            help = described.split_once(' ')?.1;
        } else if let Some(typed) = line.strip_prefix("# TYPE ") {
            let (name, kind) = typed.split_once(' ')?;
            let kind = match kind {
                "counter" => MetricKind::Counter,
                "gauge" => MetricKind::Gauge,
                "histogram" => MetricKind::Histogram,
                _ => return None,
            };
            let (name, help) = (name.to_owned(), std::mem::take(&mut help).to_owned());
            families.push(MetricFamily { name, help, kind, samples: Vec::new() });
        } else if !line.starts_with('#') {
            families.last_mut()?.samples.push(sample(line)?);
        }
    }
    Some(families)
}

/// Parses `name{label="value",…} 1.5`.
fn sample(line: &str) -> Option<Sample> {
    let name_end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(name_end);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (Vec::new(), rest),
    };
    // an exemplar or a time may follow
    let value = rest.trim_start().split(' ').next()?.parse().ok()?;
    Some(Sample { name: name.to_owned(), labels, value })
}

/// Parses labels up to the closing brace; returns what follows it.
fn labels(mut rest: &str) -> Option<(Vec<(String, String)>, &str)> {
    let mut labels = Vec::new();
    loop {
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        let (name, quoted) = rest.split_once("=\"")?;
        let (value, after) = quoted_value(quoted)?;
        labels.push((name.to_owned(), value));
        rest = after.strip_prefix(',').unwrap_or(after);
    }
}

/// Reads a value up to the closing quote.
fn quoted_value(text: &str) -> Option<(String, &str)> {
    let (mut value, mut characters) = (String::new(), text.char_indices());
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                escaped => value.push(escaped),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::family::Family;
    use prometheus_client::metrics::gauge::Gauge;
    use prometheus_client::metrics::histogram::Histogram;
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn what_the_registry_writes_is_read() {
        let mut registry = Registry::default();
        let hostile = "a\"b\\c\nd,e=\"f}{ 7";
        let (counter, histogram) = (Family::<[(&str, String); 2], Counter>::default(), Histogram::new([0.5, 2.0]));
        let gauge: Gauge = Gauge::default();
        registry.register("jobs", "Jobs, by name", counter.clone());
        registry.register("waiting", "Waits", gauge.clone());
        registry.register("seconds", "Durations", histogram.clone());
        counter.get_or_create(&[("name", hostile.to_owned()), ("empty", String::new())]).inc_by(3);
        gauge.set(-7);
        [0.25, 1.0, 99.0].into_iter().for_each(|seconds| histogram.observe(seconds));
        let mut text = String::new();
        encode(&mut text, &registry).expect("a text");
        let families = read_metrics(&text).expect("metrics");
        let kinds: Vec<_> = families.iter().map(|family| (family.name.as_str(), family.kind)).collect();
        let expected =
            [("jobs", MetricKind::Counter), ("waiting", MetricKind::Gauge), ("seconds", MetricKind::Histogram)];
        assert_eq!(kinds, expected);
        assert_eq!(families[0].help, "Jobs, by name.");
        let labels = vec![("name".to_owned(), hostile.to_owned()), ("empty".to_owned(), String::new())];
        assert_eq!(families[0].samples, [Sample { name: "jobs_total".into(), labels, value: 3.0 }]);
        assert_eq!(families[1].samples, [Sample { name: "waiting".into(), labels: Vec::new(), value: -7.0 }]);
        let parts: Vec<_> = families[2].samples.iter().map(|one| (one.name.as_str(), one.value)).collect();
        let buckets = [("seconds_bucket", 1.0), ("seconds_bucket", 2.0), ("seconds_bucket", 3.0)];
        assert_eq!(parts, [[("seconds_sum", 100.25), ("seconds_count", 3.0)].as_slice(), &buckets].concat());
        let bounds: Vec<_> = families[2].samples[2..].iter().map(|one| one.labels[0].1.as_str()).collect();
        assert_eq!(bounds, ["0.5", "2.0", "+Inf"]);
    }

    #[test]
    fn another_text_is_not_read() {
        for text in
            ["jobs 1", "# TYPE a summary", "# TYPE a gauge\na{b=\"c", "# TYPE a gauge\na b", "# TYPE a gauge\na"]
        {
            assert_eq!(read_metrics(text), None, "{text}");
        }
    }
}
