//! The calls as a person would make them.

use api::rds_proxy::{RdsProxy, overriding::Mark};

/// All that a guard does, from the first to the last.
pub(super) fn all(proxy: &RdsProxy, key: &str, mark: &Mark) -> Vec<String> {
    let RdsProxy { name, region, .. } = proxy;
    // Not the ARN itself: the number of the account is nobody's business.
    let arn = format!(
        "arn=$(aws rds describe-db-proxies --region {region} --db-proxy-name {name} --query 'DBProxies[0].DBProxyArn' --output text)"
    );
    let tag = format!(
        "aws rds add-tags-to-resource --region {region} --resource-name $arn --tags 'Key={key},Value={mark}'"
    );
    vec![arn, tag, modify(proxy, mark.to), modify(proxy, mark.from), untag(proxy, key)]
}

/// Sets a value.
pub(super) fn modify(proxy: &RdsProxy, seconds: i64) -> String {
    let RdsProxy { name, region, .. } = proxy;
    format!(
        "aws rds modify-db-proxy --region {region} --db-proxy-name {name} --idle-client-timeout {seconds}"
    )
}

/// Removes a tag.
fn untag(proxy: &RdsProxy, key: &str) -> String {
    let region = &proxy.region;
    format!(
        "aws rds remove-tags-from-resource --region {region} --resource-name $arn --tag-keys {key}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    #[test]
    fn calls_are_told_in_full_and_without_an_account() {
        let proxy = RdsProxy {
            name: "pulp-production-1".into(),
            region: "ap-northeast-1".into(),
            ..RdsProxy::default()
        };
        let run = "pulp-perf/idle-timeout-1a2b3-17".to_owned();
        let mark = Mark { from: 28_800, to: 1_800, until: Timestamp::UNIX_EPOCH, run };
        let key = format!("{}0f1e2d3c-aaaa-4bbb-8ccc-0123456789ab", Mark::KEY);
        let calls = all(&proxy, &key, &mark);
        assert!(calls.iter().all(|call| call.len() <= 300), "{calls:#?}");
        assert!(calls[2].ends_with("--idle-client-timeout 1800"), "{calls:#?}");
        assert!(calls[3].ends_with("--idle-client-timeout 28800"), "{calls:#?}");
    }
}
