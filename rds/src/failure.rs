//! Why a call was not answered, in plain words.

use crate::{aws::ATTEMPTS, scrub::Scrubber};
use api::rds_proxy::{RdsProxy, evidence::Gap};
use aws_sdk_rds::{
    config::http::HttpResponse,
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
};
use std::error::Error;

/// What was wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Not allowed; AWS's reason, where it gives one.
    Denied(Option<String>),
    /// The credentials were good once.
    Expired(String),
    /// They never were.
    Unknown(String),
    /// Too many calls, of us or of others.
    Throttled(String),
    /// No such proxy.
    NoProxy,
    /// No such log group.
    NoLog,
    /// The proxy is being changed, or is in some other state that allows no change now.
    Busy,
    /// It can't be connected to.
    Unreachable,
    /// Its certificate is of nobody whom we trust.
    Untrusted,
    /// No answer.
    TimedOut,
    /// An answer that is none of AWS's, with its HTTP status.
    Odd(u16),
    /// Anything else: what, and in whose words.
    Other(String, String),
}

impl Failure {
    /// What an error of the SDK comes from.
    pub(crate) fn of<E: Error + ProvideErrorMetadata + 'static>(
        error: &SdkError<E, HttpResponse>,
    ) -> Self {
        match error {
            SdkError::ServiceError(answer) => {
                let (code, message) = (answer.err().code(), answer.err().message());
                match code {
                    Some(code) => Self::of_code(code, message.unwrap_or_default()),
                    None => Self::Odd(answer.raw().status().as_u16()),
                }
            }
            SdkError::ResponseError(answer) => Self::Odd(answer.raw().status().as_u16()),
            SdkError::TimeoutError(_) => Self::TimedOut,
            SdkError::DispatchFailure(failure) if failure.is_timeout() => Self::TimedOut,
            SdkError::DispatchFailure(_) if text(error).contains("peer certificate") => {
                Self::Untrusted
            }
            SdkError::DispatchFailure(failure) if failure.is_io() => Self::Unreachable,
            error => Self::Other("The call could not be made".to_owned(), text(error)),
        }
    }

    /// What a code of AWS's means. Each protocol has its own spelling.
    fn of_code(code: &str, message: &str) -> Self {
        match code {
            "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" => {
                Self::Denied(reason(message))
            }
            "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => {
                Self::Expired(code.to_owned())
            }
            "InvalidClientTokenId"
            | "UnrecognizedClientException"
            | "InvalidAccessKeyId"
            | "SignatureDoesNotMatch"
            | "InvalidSignatureException"
            | "AuthFailure"
            | "IncompleteSignature"
            | "MissingAuthenticationToken"
            | "InvalidIdentityToken" => Self::Unknown(code.to_owned()),
            "Throttling"
            | "ThrottlingException"
            | "ThrottledException"
            | "RequestLimitExceeded"
            | "RequestThrottled"
            | "TooManyRequestsException"
            | "LimitExceededException" => Self::Throttled(code.to_owned()),
            "DBProxyNotFoundFault" | "DBProxyNotFound" => Self::NoProxy,
            "ResourceNotFoundException" => Self::NoLog,
            "InvalidDBProxyStateFault" | "InvalidDBProxyState" => Self::Busy,
            _ => Self::Other(format!("AWS answered {code}"), message.to_owned()),
        }
    }

    /// Whether no other call will fare better, of any service or of this one.
    pub(crate) fn reach(&self, one_endpoint: bool) -> Reach {
        match self {
            Self::Expired(_) | Self::Unknown(_) | Self::NoProxy => Reach::All,
            Self::Unreachable | Self::Untrusted | Self::TimedOut if one_endpoint => Reach::All,
            Self::Unreachable | Self::Untrusted | Self::TimedOut => Reach::Service,
            _ => Reach::Call,
        }
    }

    /// Whether the same call may well be answered in a moment.
    pub(crate) fn passes(&self) -> bool {
        matches!(
            self,
            Self::Throttled(_) | Self::Busy | Self::Unreachable | Self::TimedOut | Self::Odd(_)
        )
    }

    /// What was wrong, and what to do.
    pub(crate) fn gap(&self, permission: &str, proxy: &RdsProxy, scrubber: &Scrubber) -> Gap {
        let (name, region) = (&proxy.name, &proxy.region);
        let service = permission.split(':').next().unwrap_or_default();
        let who = who(proxy);
        let problem = match self {
            Self::Denied(reason) => {
                let reason = reason.as_ref().map_or(String::new(), |it| format!(", {it}"));
                format!(
                    "AWS refuses it{reason}. Allow {permission} to {who}; docs/rds-proxy.md has the policy."
                )
            }
            Self::Expired(code) => {
                format!("The credentials have expired ({code}). Renew those of {who}.")
            }
            Self::Unknown(code) => format!(
                "AWS does not accept the credentials ({code}). Check those of {who}, and the node's clock."
            ),
            Self::Throttled(code) => format!(
                "AWS throttled it ({code}), in {ATTEMPTS} attempts. Start fewer runs at once, or ask AWS for a higher rate."
            ),
            Self::NoProxy => format!(
                "There is no proxy {name} in {region}. Check spec.rdsProxy.name and region, and that {who} belongs to the AWS account of the proxy."
            ),
            Self::NoLog => format!(
                "There is no log group /aws/rds/proxy/{name}: the proxy has not logged yet, or the group was deleted."
            ),
            Self::Busy => format!(
                "The proxy {name} can't be changed now: it is being changed, or is not available. Look at its status."
            ),
            Self::Unreachable => {
                format!("It can't be reached. Let the pod reach {}.", endpoint(service, proxy))
            }
            Self::TimedOut => format!(
                "There was no answer in time. Let the pod reach {}.",
                endpoint(service, proxy)
            ),
            Self::Untrusted => {
                "The certificate of the endpoint is not trusted. Where a gateway takes TLS apart, \
                its CA must be in the file that SSL_CERT_FILE names."
                    .to_owned()
            }
            Self::Odd(status) => format!(
                "The answer is none of AWS's (HTTP {status}). Look at what stands between the pod and AWS, or try again later."
            ),
            Self::Other(code, message) => {
                format!("{code}: {}", scrubber.clean(message))
            }
        };
        Gap { permission: permission.to_owned(), problem }
    }
}

/// How many calls a failure concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// This one.
    Call,
    /// All of the service.
    Service,
    /// All.
    All,
}

/// As whom AWS is asked.
pub(crate) fn who(proxy: &RdsProxy) -> String {
    match (&proxy.credentials_secret_name, &proxy.service_account_name) {
        (Some(secret), _) => format!("the user whose keys are in Secret {secret}"),
        (None, Some(account)) => format!("the role of service account {account}"),
        (None, None) => "whoever asks".to_owned(),
    }
}

fn endpoint(service: &str, proxy: &RdsProxy) -> String {
    let region = &proxy.region;
    let name = if service == "cloudwatch" { "monitoring" } else { service };
    match proxy.endpoint_url {
        Some(_) => "spec.rdsProxy.endpointURL: look at network policies".to_owned(),
        None => format!(
            "AWS over HTTPS: by NAT or a VPC endpoint com.amazonaws.{region}.{name}; look at network policies too"
        ),
    }
}

/// Why access is denied, without the names of accounts: "because no identity-based policy allows the … action".
fn reason(message: &str) -> Option<String> {
    let at = message.find("because ").or_else(|| message.find("with an explicit deny"))?;
    let reason = message[at..].split(": ").next()?.trim_end_matches('.');
    Some(reason.to_owned())
}

fn text<E: Error>(error: &E) -> String {
    DisplayErrorContext(error).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy() -> RdsProxy {
        RdsProxy {
            name: "pulp".into(),
            region: "us-east-1".into(),
            service_account_name: Some("rds-reader".into()),
            ..RdsProxy::default()
        }
    }

    fn told(code: &str, message: &str) -> String {
        let failure = Failure::of_code(code, message);
        failure.gap("logs:FilterLogEvents", &proxy(), &Scrubber::default()).problem
    }

    #[test]
    fn a_refusal_says_why_without_the_account() {
        let message = "User: arn:aws:sts::123456789012:assumed-role/probe/x is not authorized to perform: \
            logs:FilterLogEvents on resource: arn:aws:logs:us-east-1:123456789012:log-group:y because no \
            identity-based policy allows the logs:FilterLogEvents action";
        assert_eq!(
            told("AccessDeniedException", message),
            "AWS refuses it, because no identity-based policy allows the logs:FilterLogEvents action. Allow \
             logs:FilterLogEvents to the role of service account rds-reader; docs/rds-proxy.md has the policy."
        );
        let message =
            "… with an explicit deny in a service control policy: arn:aws:organizations::1:x";
        let told = told("AccessDenied", message);
        assert!(
            told.starts_with("AWS refuses it, with an explicit deny in a service control policy.")
        );
    }

    #[test]
    fn every_word_fits_and_says_what_to_do() {
        let code = || "SomeLongCodeOfAnError".to_owned();
        let failures = [
            Failure::Denied(None),
            Failure::Expired(code()),
            Failure::Unknown(code()),
            Failure::Throttled(code()),
            Failure::NoProxy,
            Failure::NoLog,
            Failure::Busy,
            Failure::Unreachable,
            Failure::Untrusted,
            Failure::TimedOut,
            Failure::Odd(500),
        ];
        for failure in failures {
            let gap = failure.gap("cloudwatch:GetMetricData", &proxy(), &Scrubber::default());
            assert!(gap.problem.len() < 260 && gap.problem.ends_with('.'), "{}", gap.problem);
        }
        assert!(told("Other", "no x.rds.amazonaws.com").ends_with("Other: no <host>"));
    }
}
