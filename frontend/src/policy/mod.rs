//! Policies of resources: who may do what to a bucket or a queue, in AWS's policy language.
//!
//! [`Document::parse`] reads a policy and [`Document::decide`] holds a request against it. Nothing here knows a service:
//! actions, resources and the values of condition keys are given by who asks.
//!
//! Not here: policy variables (`${aws:username}`), which match nothing, and condition keys that the asker does not know,
//! which are absent.

mod condition;
mod document;
mod pattern;

pub(crate) use document::{Document, Malformed, Statement};

/// What a policy says of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Allow,
    /// A denial wins over whatever else allows it.
    Deny,
    /// Nothing: somebody else decides.
    Silent,
}

/// Who makes a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Principal<'a> {
    /// Nobody has signed it.
    Anonymous,
    /// A user or role, by account and ARN.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "policies decide for anonymous requests only, yet")
    )]
    Identity { account: &'a str, arn: &'a str },
    /// A service, such as `s3.amazonaws.com`.
    #[cfg_attr(
        not(test),
        expect(
            dead_code,
            reason = "no queue asks for the policy of who sends to it, yet"
        )
    )]
    Service(&'a str),
}

/// A request, as policies see it.
pub(crate) struct Request<'a> {
    pub(crate) principal: Principal<'a>,
    /// `s3:GetObject`
    pub(crate) action: &'a str,
    /// An ARN.
    pub(crate) resource: &'a str,
    /// The values of a condition key, given in lower case; none if it is absent.
    pub(crate) values: &'a dyn Fn(&str) -> Vec<String>,
}

impl Document {
    /// What the policy says of `request`.
    pub(crate) fn decide(&self, request: &Request<'_>) -> Decision {
        let mut decision = Decision::Silent;
        for statement in self
            .statements
            .iter()
            .filter(|statement| statement.covers(request))
        {
            if !statement.allows {
                return Decision::Deny;
            }
            decision = Decision::Allow;
        }
        decision
    }

    /// Whether it lets in everyone: an allowance for any principal, not held to a network, account or organisation.
    pub(crate) fn is_public(&self) -> bool {
        let is_open = |statement: &Statement| {
            statement.allows
                && statement.principals.includes_everyone()
                && !statement
                    .conditions
                    .iter()
                    .any(condition::Condition::confines)
        };
        self.statements.iter().any(is_open)
    }
}

impl Statement {
    /// Whether it allows what it covers, and does not deny it.
    pub(crate) fn allows(&self) -> bool {
        self.allows
    }

    fn covers(&self, request: &Request<'_>) -> bool {
        let action = |pattern: &String| pattern::matches_ignoring_case(pattern, request.action);
        let resource = |pattern: &String| pattern::matches(pattern, request.resource);
        self.principals.include(request.principal)
            && self.actions.include(action)
            && self.resources.include(resource)
            && self
                .conditions
                .iter()
                .all(|condition| condition.holds(request.values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decides on `s3:GetObject` of `arn:aws:s3:::b/k` by a policy of one statement, made from `parts`.
    #[track_caller]
    fn check(principal: Principal<'_>, parts: &str, expected: Decision) {
        let text = format!(r#"{{"Version": "2012-10-17", "Statement": [{{{parts}}}]}}"#);
        let document = Document::parse(&text).expect("it is a policy");
        let request = Request {
            principal,
            action: "s3:GetObject",
            resource: "arn:aws:s3:::b/k",
            values: &|key| match key {
                "aws:sourceip" => vec!["127.0.0.1".to_owned()],
                "s3:prefix" => vec!["public/a".to_owned()],
                _ => Vec::new(),
            },
        };
        assert_eq!(document.decide(&request), expected, "{parts}");
    }

    const ANYONE: &str = r#""Effect": "Allow", "Principal": "*""#;

    #[test]
    fn statements_name_principals_actions_and_resources() {
        let anonymous = |parts: &str, expected| check(Principal::Anonymous, parts, expected);
        let with = |parts: &str| format!("{ANYONE}, {parts}");
        for parts in [
            r#""Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*""#,
            r#""Action": "s3:getobject", "Resource": "arn:aws:s3:::b/?""#,
            r#""Action": ["s3:PutObject", "s3:Get*"], "Resource": ["arn:aws:s3:::b", "arn:aws:s3:::b/k"]"#,
            r#""Action": "*", "Resource": "*""#,
            r#""NotAction": "s3:PutObject", "NotResource": "arn:aws:s3:::b""#,
        ] {
            anonymous(&with(parts), Decision::Allow);
        }
        for parts in [
            r#""Action": "s3:PutObject", "Resource": "*""#,
            r#""Action": "s3:GetObjectAcl", "Resource": "*""#,
            r#""Action": "s3:GetObject", "Resource": "arn:aws:s3:::b""#,
            r#""Action": "s3:GetObject", "Resource": "arn:aws:s3:::B/*""#,
            r#""NotAction": "s3:Get*", "Resource": "*""#,
            r#""Action": "s3:GetObject", "NotResource": "arn:aws:s3:::b/*""#,
        ] {
            anonymous(&with(parts), Decision::Silent);
        }
    }

    #[test]
    fn principals_are_accounts_users_and_services() {
        let identity = Principal::Identity {
            account: "111111111111",
            arn: "arn:aws:iam::111111111111:user/me",
        };
        let check = |principal, named: &str, expected| {
            let parts = format!(r#""Effect": "Allow", {named}, "Action": "*", "Resource": "*""#);
            check(principal, &parts, expected);
        };
        for named in [
            r#""Principal": {"AWS": "111111111111"}"#,
            r#""Principal": {"AWS": ["222222222222", "arn:aws:iam::111111111111:root"]}"#,
            r#""Principal": {"AWS": "arn:aws:iam::111111111111:user/me"}"#,
            r#""Principal": {"AWS": "*"}"#,
            r#""NotPrincipal": {"AWS": "arn:aws:iam::111111111111:user/you"}"#,
        ] {
            check(identity, named, Decision::Allow);
        }
        let named = r#""Principal": {"AWS": "arn:aws:iam::111111111111:user/you"}"#;
        check(identity, named, Decision::Silent);
        check(
            Principal::Anonymous,
            r#""Principal": {"AWS": "111111111111"}"#,
            Decision::Silent,
        );
        let service = r#""Principal": {"Service": "s3.amazonaws.com"}"#;
        check(
            Principal::Service("s3.amazonaws.com"),
            service,
            Decision::Allow,
        );
        check(
            Principal::Service("sns.amazonaws.com"),
            service,
            Decision::Silent,
        );
        check(Principal::Anonymous, service, Decision::Silent);
    }

    #[test]
    fn conditions_must_all_hold() {
        let check = |condition: &str, expected| {
            let parts = format!(
                r#"{ANYONE}, "Action": "*", "Resource": "*", "Condition": {{{condition}}}"#
            );
            check(Principal::Anonymous, &parts, expected);
        };
        check(
            r#""IpAddress": {"aws:SourceIp": "127.0.0.0/8"}"#,
            Decision::Allow,
        );
        check(
            r#""IpAddress": {"aws:SourceIp": "10.0.0.0/8"}"#,
            Decision::Silent,
        );
        check(
            r#""IpAddress": {"aws:SourceIp": "127.0.0.1"}, "StringLike": {"s3:prefix": ["a", "public/*"]}"#,
            Decision::Allow,
        );
        check(
            r#""IpAddress": {"aws:SourceIp": "127.0.0.1"}, "StringLike": {"s3:prefix": "private/*"}"#,
            Decision::Silent,
        );
    }

    #[test]
    fn a_denial_wins() {
        let text = r#"{"Statement": [
            {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"},
            {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": "*/secret"}
        ]}"#;
        let document = Document::parse(text).expect("it is a policy");
        let decide = |resource| {
            document.decide(&Request {
                principal: Principal::Anonymous,
                action: "s3:GetObject",
                resource,
                values: &|_| Vec::new(),
            })
        };
        assert_eq!(decide("arn:aws:s3:::b/k"), Decision::Allow);
        assert_eq!(decide("arn:aws:s3:::b/secret"), Decision::Deny);
    }

    #[test]
    fn public_is_who_lets_in_everyone() {
        let check = |parts: &str, expected| {
            let text = format!(r#"{{"Statement": {{{parts}, "Action": "*", "Resource": "*"}}}}"#);
            let document = Document::parse(&text).expect("it is a policy");
            assert_eq!(document.is_public(), expected, "{parts}");
        };
        check(ANYONE, true);
        check(
            r#""Effect": "Allow", "Principal": {"AWS": ["1", "*"]}"#
                .replace("\"1\"", "\"111111111111\"")
                .as_str(),
            true,
        );
        check(r#""Effect": "Deny", "Principal": "*""#, false);
        check(
            r#""Effect": "Allow", "Principal": {"AWS": "111111111111"}"#,
            false,
        );
        let held = |condition: &str| format!(r#"{ANYONE}, "Condition": {{{condition}}}"#);
        check(
            &held(r#""IpAddress": {"aws:SourceIp": "10.0.0.0/8"}"#),
            false,
        );
        check(&held(r#""IpAddress": {"aws:SourceIp": "0.0.0.0/0"}"#), true);
        check(
            &held(r#""StringEquals": {"aws:SourceVpc": "vpc-1"}"#),
            false,
        );
        check(&held(r#""StringLike": {"aws:SourceVpc": "vpc-*"}"#), true);
        check(
            &held(r#""StringNotEquals": {"aws:SourceVpc": "vpc-1"}"#),
            true,
        );
        check(
            &held(r#""StringEquals": {"aws:Referer": "http://example.com"}"#),
            true,
        );
    }
}
