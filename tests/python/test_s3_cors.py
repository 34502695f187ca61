"""CORS: what web pages may read of a bucket, and which requests they may make."""

import pytest
from cumulog import error_code, request

ORIGIN = "https://app.example.com"
REFUSED = "CORSResponse: This CORS request is not allowed."


@pytest.fixture
def allow(s3, bucket):
    def allow(**rule):
        s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})

    return allow


@pytest.fixture
def ask(server, bucket):
    """`ask("PUT", "x-a", …)` sends a preflight; the answer's status and CORS headers."""

    def ask(method, *headers, origin=ORIGIN, path="/key"):
        sent = {"Origin": origin, "Access-Control-Request-Method": method}
        if headers:
            sent["Access-Control-Request-Headers"] = ",".join(headers)
        return request(server, "OPTIONS", f"/{bucket}{path}", sent)

    return ask


def cors_headers(answer):
    prefix = "access-control-"
    return {name[len(prefix):]: value for name, value in answer.headers.items() if name.startswith(prefix)}  # fmt: skip


def test_preflights_follow_the_rules(allow, ask):
    allow(AllowedMethods=["GET", "PUT"], AllowedOrigins=["https://*.example.com"], AllowedHeaders=["x-amz-*", "Range"],
          ExposeHeaders=["ETag", "x-amz-id-2"], MaxAgeSeconds=3000)  # fmt: skip
    answer = ask("PUT", "X-Amz-Date", "range")
    assert answer.status == 200 and answer.body == b""
    assert cors_headers(answer) == {
        "allow-origin": ORIGIN,
        "allow-methods": "GET, PUT",
        "allow-headers": "x-amz-date, range",
        "allow-credentials": "true",
        "expose-headers": "ETag, x-amz-id-2",
        "max-age": "3000",
    }
    assert answer.headers["vary"] == "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"
    for answer in (
        ask("DELETE"),
        ask("GET", "x-other"),
        ask("GET", origin="https://example.com"),
        ask("GET", origin="http://app.example.com"),
    ):
        assert answer.status == 403
        assert "<Code>AccessForbidden</Code>" in answer.text and REFUSED in answer.text
        assert "<ResourceType>OBJECT</ResourceType>" in answer.text
        assert not cors_headers(answer)
    assert "<ResourceType>BUCKET</ResourceType>" in ask("DELETE", path="").text


def test_any_origin_is_answered_with_a_star(allow, ask):
    allow(AllowedMethods=["GET"], AllowedOrigins=["*"])
    assert cors_headers(ask("GET")) == {"allow-origin": "*", "allow-methods": "GET"}


def test_requests_are_answered_whatever_the_rules_say(s3, server, bucket, allow):
    s3.put_object(Bucket=bucket, Key="key", Body=b"body")
    allow(AllowedMethods=["GET"], AllowedOrigins=[ORIGIN], MaxAgeSeconds=5)
    answer = request(server, "GET", f"/{bucket}/key", {"Origin": ORIGIN})
    assert answer.body == b"body"
    assert cors_headers(answer)["allow-origin"] == ORIGIN
    for headers in ({"Origin": "https://other.example.com"}, {"Origin": ORIGIN, "Access-Control-Request-Headers": "x-a"}):
        answer = request(server, "GET", f"/{bucket}/key", headers)
        assert answer.body == b"body"
        assert not cors_headers(answer)
    answer = request(server, "GET", f"/{bucket}/not-there", {"Origin": ORIGIN})
    assert answer.status == 404 and cors_headers(answer)["allow-origin"] == ORIGIN
    # Pages of this machine, too, are judged by the bucket's rules where there are any.
    assert not cors_headers(request(server, "GET", f"/{bucket}/key", {"Origin": "http://localhost:3000"}))


def test_without_rules_there_is_no_cors_but_for_this_machine(s3, server, bucket, ask):
    s3.put_object(Bucket=bucket, Key="key", Body=b"body")
    answer = ask("GET")
    assert answer.status == 403 and "CORSResponse: CORS is not enabled for this bucket." in answer.text
    answer = request(server, "OPTIONS", f"/{bucket}-not/key", {"Origin": ORIGIN, "Access-Control-Request-Method": "GET"})
    assert answer.status == 403 and "CORSResponse: Bucket not found" in answer.text
    answer = request(server, "GET", f"/{bucket}/key", {"Origin": ORIGIN})
    assert answer.body == b"body" and not cors_headers(answer)
    # A browser sends a form without asking first.
    assert request(server, "POST", f"/{bucket}?delete", {"Origin": ORIGIN}).status == 403
    here = "http://localhost:3000"
    assert ask("PUT", origin=here).status == 200
    assert cors_headers(request(server, "GET", f"/{bucket}/key", {"Origin": here}))["allow-origin"] == here


def test_a_preflight_must_say_what_it_asks_for(server, bucket, allow):
    allow(AllowedMethods=["GET"], AllowedOrigins=["*"])
    answer = request(server, "OPTIONS", f"/{bucket}/key")
    assert answer.status == 400 and "Origin request header needed" in answer.text
    answer = request(server, "OPTIONS", f"/{bucket}/key", {"Origin": ORIGIN})
    assert answer.status == 400 and "Invalid Access-Control-Request-Method: null" in answer.text


def test_rules_are_checked(s3, bucket):
    def code(**rule):
        rules = {"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]} | rule]}
        return error_code(s3.put_bucket_cors, Bucket=bucket, CORSConfiguration=rules)

    assert code(AllowedMethods=["MYMETHOD"]) == "InvalidRequest"
    assert code(AllowedOrigins=["http://*.*.com"]) == "InvalidRequest"
    assert code(AllowedHeaders=["*-*"]) == "InvalidRequest"
    assert code(ExposeHeaders=["x-*"]) == "InvalidRequest"
    assert error_code(s3.put_bucket_cors, Bucket=bucket, CORSConfiguration={"CORSRules": []}) == "MalformedXML"
    rule = {"AllowedMethods": ["GET", "PUT", "HEAD"], "AllowedOrigins": [""]}
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
    assert s3.get_bucket_cors(Bucket=bucket)["CORSRules"] == [rule]
