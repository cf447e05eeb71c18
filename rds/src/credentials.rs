//! As whom AWS is asked.

use crate::{
    failure::{Failure, who},
    scrub::Scrubber,
};
use api::rds_proxy::{RdsProxy, evidence::Gap};
use aws_config::{
    SdkConfig, ecs::EcsCredentialsProvider, environment::EnvironmentVariableCredentialsProvider,
    provider_config::ProviderConfig,
};
use aws_sdk_rds::config::{Credentials, ProvideCredentials};
use std::{
    env, fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

const ID: &str = "aws_access_key_id";
const SECRET: &str = "aws_secret_access_key";
const TOKEN: &str = "aws_session_token";

/// What the first call that needs credentials needs.
const FIRST: &str = "rds:DescribeDBProxies";
const BY_TOKEN: &str = "sts:AssumeRoleWithWebIdentity";
const BY_AGENT: &str = "eks-auth:AssumeRoleForPodIdentity";

/// Finds them: in a folder, in the environment, by IRSA, or by EKS Pod Identity. Never from the node: its role is
/// not that of the account which was named.
///
/// # Errors
/// There are none.
pub(crate) async fn find(
    proxy: &RdsProxy,
    folder: Option<&Path>,
    config: &SdkConfig,
) -> Result<Credentials, Gap> {
    let who = who(proxy);
    if let Some(folder) = folder {
        return from(folder)
            .map_err(|problem| gap(FIRST, format!("{problem} AWS is asked as {who}.")));
    }
    let environment = EnvironmentVariableCredentialsProvider::new();
    if let Ok(credentials) = environment.provide_credentials().await {
        return Ok(credentials);
    }
    if let Some((role, token)) = web_identity() {
        return assume(&role, &token, proxy, config).await;
    }
    if env::var_os("AWS_CONTAINER_CREDENTIALS_FULL_URI").is_some() {
        let agent = EcsCredentialsProvider::builder().configure(&ProviderConfig::without_region());
        return agent.build().provide_credentials().await.map_err(|_| {
            gap(BY_AGENT, format!("The agent of EKS Pod Identity gives no credentials for {who}. Look at its association, and at the agent's log on the node."))
        });
    }
    Err(gap(
        FIRST,
        format!(
            "There are no credentials for {who}. Annotate the service account with eks.amazonaws.com/role-arn (IRSA), or make an association (EKS Pod Identity), before the pod starts."
        ),
    ))
}

/// Reads a Secret as the kubelet mounts it.
///
/// # Errors
/// What it lacks.
pub(crate) fn from(folder: &Path) -> Result<Credentials, String> {
    let key = |name| {
        let value = fs::read_to_string(folder.join(name)).unwrap_or_default();
        Some(value.trim().to_owned()).filter(|value| !value.is_empty())
    };
    match (key(ID), key(SECRET)) {
        (Some(id), Some(secret)) => Ok(Credentials::new(id, secret, key(TOKEN), None, "Secret")),
        (id, secret) => {
            let missing = [(id, ID), (secret, SECRET)];
            let missing =
                missing.iter().filter(|(value, _)| value.is_none()).map(|(_, name)| *name);
            let missing: Vec<_> = missing.collect();
            Err(format!("The Secret is not there, or lacks {}.", missing.join(" and ")))
        }
    }
}

fn web_identity() -> Option<(String, PathBuf)> {
    Some((env::var("AWS_ROLE_ARN").ok()?, env::var_os("AWS_WEB_IDENTITY_TOKEN_FILE")?.into()))
}

async fn assume(
    role: &str,
    token: &Path,
    proxy: &RdsProxy,
    config: &SdkConfig,
) -> Result<Credentials, Gap> {
    let token = fs::read_to_string(token).map_err(|error| {
        gap(BY_TOKEN, format!("The token of the service account can't be read: {error}."))
    })?;
    let answer = aws_sdk_sts::Client::new(config)
        .assume_role_with_web_identity()
        .role_arn(role)
        .role_session_name("connection-probe")
        .web_identity_token(token.trim())
        .send()
        .await
        .map_err(|error| match Failure::of(&error) {
            Failure::Denied(_) => gap(
                BY_TOKEN,
                format!("The role does not trust this service account. Its trust policy must name the cluster's OIDC provider and {}.", who(proxy)),
            ),
            failure => failure.gap(BY_TOKEN, proxy, &Scrubber::default()),
        })?;
    let given = answer.credentials.ok_or_else(|| gap(BY_TOKEN, "STS gave none.".to_owned()))?;
    Ok(Credentials::new(
        given.access_key_id,
        given.secret_access_key,
        Some(given.session_token),
        SystemTime::try_from(given.expiration).ok(),
        "IRSA",
    ))
}

fn gap(permission: &str, problem: String) -> Gap {
    Gap { permission: permission.to_owned(), problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_without_its_line_ends_and_what_it_lacks_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(ID), "AKIA\n").unwrap();
        let problem = from(folder.path()).unwrap_err();
        assert_eq!(problem, "The Secret is not there, or lacks aws_secret_access_key.");
        fs::write(folder.path().join(SECRET), "x").unwrap();
        let credentials = from(folder.path()).unwrap();
        assert_eq!((credentials.access_key_id(), credentials.session_token()), ("AKIA", None));
    }
}
