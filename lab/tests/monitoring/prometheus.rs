//! A real Prometheus for one test.

use crate::{path, rules, run};
use lab::cluster::eventually;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;

/// Debian's has no discovery of Kubernetes built in. So the test tells what it found, by the labels that the discovery
/// would give it; from there on it is configured as the monitors of the chart do it.
pub(crate) const CONFIGURATION: &str = r#"
global: { scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }
rule_files: [ RULES ]
scrape_configs:
- job_name: connection-probe-operator
  file_sd_configs: [{ files: [ operator.json ], refresh_interval: 1s }]
  relabel_configs:
  - { source_labels: [__meta_kubernetes_namespace], target_label: namespace }
  - { source_labels: [__meta_kubernetes_pod_name], target_label: pod }
- job_name: probe-pods
  file_sd_configs: [{ files: [ pods.json ], refresh_interval: 1s }]
  relabel_configs:
  - { source_labels: [__meta_kubernetes_pod_label_app_kubernetes_io_name], regex: connection-probe, action: keep }
  - { source_labels: [__meta_kubernetes_namespace], target_label: namespace }
  - { source_labels: [__meta_kubernetes_pod_name], target_label: pod }
  - { source_labels: [__meta_kubernetes_pod_label_probes_pulpproject_org_run], target_label: run }
  - { source_labels: [__meta_kubernetes_pod_annotation_probes_pulpproject_org_probe_name], target_label: probe }
"#;

pub(crate) struct Prometheus {
    process: Child,
    address: String,
    folder: TempDir,
}

/// What to scrape, and what the discovery says of it.
pub(crate) struct Target {
    /// Address and port.
    pub(crate) address: String,
    /// Labels that begin with `__meta_kubernetes_`, without that.
    pub(crate) meta: BTreeMap<String, String>,
}

impl Prometheus {
    /// Starts one with our rules, and waits until it answers.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let rules = fs::canonicalize(path(rules::FILE)).unwrap();
        let configuration = CONFIGURATION.replace("RULES", rules.to_str().unwrap());
        let file = folder.path().join("prometheus.yaml");
        fs::write(&file, configuration).unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("Debian's package prometheus is installed by lab/build");
        let prometheus = Self { process, address, folder };
        eventually("Prometheus is ready", Duration::from_secs(30), async || {
            let url = format!("http://{}/-/ready", prometheus.address);
            let ready = Command::new("curl").args(["-fsS", &url]).output().unwrap();
            ready.status.success().then_some(())
        })
        .await;
        prometheus
    }

    /// Tells what there is to scrape. A target that is left out is gone.
    pub(crate) fn discovered(&self, job: &str, targets: &[Target]) {
        let groups: Vec<Value> = targets
            .iter()
            .map(|target| {
                let labels: BTreeMap<String, &String> = target
                    .meta
                    .iter()
                    .map(|(name, value)| (format!("__meta_kubernetes_{name}"), value))
                    .collect();
                json!({ "targets": [target.address], "labels": labels })
            })
            .collect();
        let file = self.folder.path().join(format!("{job}.json"));
        let whole = file.with_extension("new");
        fs::write(&whole, Value::from(groups).to_string()).unwrap();
        fs::rename(whole, file).unwrap();
    }

    /// The answer of its API.
    pub(crate) fn api(&self, call: &str, parameters: &[(&str, &str)]) -> Value {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--get"]).arg(format!("http://{}/api/v1/{call}", self.address));
        for (name, value) in parameters {
            curl.args(["--data-urlencode", &format!("{name}={value}")]);
        }
        let answer: Value = serde_json::from_str(&run(&mut curl)).unwrap();
        assert_eq!(answer["status"], "success", "{parameters:?}: {answer}");
        answer["data"].clone()
    }

    /// The series of an expression now, each with its value.
    pub(crate) fn now(&self, expression: &str) -> Vec<(Value, f64)> {
        let answer = self.api("query", &[("query", expression)]);
        let series = answer["result"].as_array().unwrap();
        let value = |series: &Value| series["value"][1].as_str().unwrap().parse().unwrap();
        series.iter().map(|series| (series["metric"].clone(), value(series))).collect()
    }

    /// How many series with numbers an expression had at any second of a time.
    pub(crate) fn during(&self, expression: &str, from: i64, to: i64) -> usize {
        let (from, to) = (from.to_string(), to.to_string());
        let parameters = [("query", expression), ("start", &from), ("end", &to), ("step", "1s")];
        let answer = self.api("query_range", &parameters);
        let is_number = |sample: &Value| sample[1] != "NaN";
        let has_numbers =
            |series: &&Value| series["values"].as_array().unwrap().iter().any(is_number);
        answer["result"].as_array().unwrap().iter().filter(has_numbers).count()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("{}", fs::read_to_string(self.folder.path().join("log")).unwrap_or_default());
        }
    }
}
