import io

import falcon
import msgspec
from falcon import testing

from apisvc import errors
from apisvc.web import body
from tests.unit.web import harness

THINGS = f"/v1/tenants/{harness.TENANT}/things"


class Bodies(harness.WebCase):
    def send(self, raw, content_type="application/json", **kw):
        headers = {"Content-Type": content_type} if content_type else {}
        return self.call("POST", THINGS, headers=headers, body=raw, **kw)

    def refused(self, raw, pointer):
        """Check that ``raw`` is a 400 at ``pointer`` that wrote nothing; return the sentence."""
        before = self.store.revision()
        found = self.problem(self.send(raw), 400, "apisvc.request.invalid", pointer)
        self.assertEqual(before, self.store.revision())
        return found["errors"][0]["detail"]

    def test_not_json(self):
        for raw in (b"", b" ", b"{", b"nonsense", b'{"name":"a"} x', b"\x00", b"{'name': 'a'}"):
            self.refused(raw, "")

    def test_not_utf_8(self):
        self.assertIn("not UTF-8", self.refused(b'{"name": "\xff"}', ""))
        self.refused('{"name": "a"}'.encode("utf-16"), "")
        self.refused(b'\xef\xbb\xbf{"name": "a"}', "")

    def test_wrong_types(self):
        cases = {
            b"[]": "",
            b"null": "",
            b'"text"': "",
            b'{"name": 1}': "/name",
            b'{"name": null}': "/name",
            b'{"name": "a", "size": "1"}': "/size",
            b'{"name": "a", "size": -1}': "/size",
            b'{"name": "a", "size": 1.5}': "/size",
            b'{"name": "a", "size": true}': "/size",
            b'{"name": "a", "spec": {"numbers": [1, "x"]}}': "/spec/numbers/1",
            b'{"name": "a", "spec": {"env": {"OK": "x", "A.B/C~D": 1}}}': "/spec/env/A.B~1C~0D",
            b'{"name": "a", "labels": {"good": "x", "": "x"}}': "/labels/",
            b'{"name": "a", "labels": {"good": "x", "bad": "\\n"}}': "/labels/bad",
            b'{"name": "-"}': "/name",
        }
        for raw, pointer in cases.items():
            self.refused(raw, pointer)

    def test_sentences_are_for_people(self):
        self.assertEqual("Expected a string, got an integer.", self.refused(b'{"name": 1}', "/name"))
        self.assertIn("63 letters", self.refused(b'{"name": "-"}', "/name"))
        self.assertEqual("Field 'name' is required.", self.refused(b"{}", "/name"))
        self.assertEqual("Field 'x' is not known.", self.refused(b'{"name":"a","x":1}', "/x"))

    def test_unknown_fields(self):
        self.refused(b'{"name": "a", "spec": {"a.b/c": 1}}', "/spec/a.b~1c")

    def test_duplicate_fields(self):
        self.refused(b'{"name": "a", "name": "a"}', "/name")
        self.refused(b'{"name": "a", "spec": {"env": {"A": "1", "B": "2", "A": "1"}}}', "/spec/env/A")
        self.refused(
            b'{"name": "a", "anything": {"list": [1, {"x": 1, "\\u0078": 2}]}}', "/anything/list/1/x"
        )

    def test_numbers_out_of_range(self):
        self.refused(b'{"name": "a", "size": 1' + b"0" * 400 + b"}", "/size")
        self.refused(b'{"name": "a", "size": 9223372036854775808}', "/size")
        self.refused(b'{"name": "a", "ratio": 1e400}', "/ratio")
        self.refused(b'{"name": "a", "anything": {"x": [1' + b"0" * 9000 + b"]}}", "/anything/x/0")
        for word in (b"NaN", b"Infinity", b"-Infinity"):
            self.refused(b'{"name": "a", "ratio": %s}' % word, "/ratio")

    def test_nul_and_lone_surrogates(self):
        for escape in (b"\\u0000", b"\\ud800", b"\\uDFFF", b"\\ud800\\u0041"):
            self.refused(b'{"name": "a%s"}' % escape, "/name")
            self.refused(b'{"name": "a", "anything": {"x": ["y", "%s"]}}' % escape, "/anything/x/1")
        self.refused(b'{"name": "a", "labels": {"k\\u0000": ""}}', "/labels/k\\u0000")
        self.refused(b'{"name": "a", "labels": {"k\\ud800": ""}}', "/labels/k\\ud800")
        fine = b'{"name": "a", "anything": {"smile": "\\ud83d\\ude00", "slash": "\\\\u0000"}}'
        self.assertEqual(202, self.send(fine).status_code)

    def test_too_deep(self):
        for depth in (64, 65, 5000, 100000):
            raw = b'{"name": "a%d", "anything": {"x": %s%s}}' % (
                depth,
                b"[" * (depth - 2),
                b"]" * (depth - 2),
            )
            answer = self.send(raw)
            self.assertEqual(202 if depth == 64 else 400, answer.status_code, answer.text)
        many = b'{"name": "b", "anything": {"x": [%s], "y": "%s"}}' % (b",".join([b"[]"] * 500), b"[" * 500)
        self.assertEqual(202, self.send(many).status_code)

    def test_too_large(self):
        raw = b'{"name": "a", "anything": {"x": "%s"}}' % (b"y" * 300000)
        self.problem(self.send(raw), 413, "apisvc.request.too_large", "")

    def test_media_types(self):
        raw = b'{"name": "a%d"}'
        fine = (
            None,
            "application/json",
            "application/json; charset=utf-8",
            'Application/JSON;charset="UTF-8"',
        )
        for number, content_type in enumerate(fine):
            self.assertEqual(202, self.send(raw % number, content_type).status_code, content_type)
        for content_type in (
            "text/plain",
            "application/json; charset=latin-1",
            "application/x-www-form-urlencoded",
        ):
            answer = self.send(raw % 9, content_type)
            self.problem(answer, 415, "apisvc.request.media_type", "header:Content-Type")
        answer = self.call("POST", THINGS, headers={"Content-Encoding": "gzip"}, body=raw % 9)
        self.problem(answer, 415, pointer="header:Content-Encoding")

    def test_operations_without_a_body(self):
        fail = "/v1/admin/fail"
        for raw in (b"", b"{}", b" {} "):
            self.assertEqual(500, self.call("POST", fail, "admin", body=raw).status_code)
        self.problem(self.call("POST", fail, "admin", body=b'{"x": 1}'), 400, pointer="")


class Streams(harness.WebCase):
    """Reading, where there is no Content-Length or the client does not keep to it."""

    def request(self, raw, length=None, terminated=False):
        env = testing.create_environ(method="POST", body="")
        env["wsgi.input"] = io.BytesIO(raw)
        env["wsgi.input_terminated"] = terminated
        env.pop("CONTENT_LENGTH", None)
        if length is not None:
            env["CONTENT_LENGTH"] = str(length)
        return falcon.Request(env)

    def test_a_chunked_body_is_bounded(self):
        self.assertEqual(b"x" * 100, body.read(self.request(b"x" * 100, terminated=True), 100))
        error = self.assertRaises(
            errors.BodyTooLarge, body.read, self.request(b"x" * 101, terminated=True), 100
        )
        self.assertEqual(413, error.status)

    def test_nothing_is_read_of_a_body_declared_too_large(self):
        request = self.request(b"x" * 101, 101)
        self.assertRaises(errors.BodyTooLarge, body.read, request, 100)
        self.assertEqual(0, request.env["wsgi.input"].tell())

    def test_a_body_that_ends_early(self):
        self.assertRaises(errors.InvalidRequest, body.read, self.request(b"xy", 10), 100)

    def test_what_the_server_cannot_read_is_the_clients_fault(self):
        class BrokenChunk(Exception):
            pass

        class Input:
            def read(self, size):
                raise BrokenChunk("Invalid chunk size")

        env = self.request(b"", terminated=True).env
        request = falcon.Request({**env, "wsgi.input": Input()})
        error = self.assertRaises(errors.InvalidRequest, body.read, request, 100)
        self.assertIn("Invalid chunk size", error.detail)

    def test_a_body_of_unknown_length_is_none(self):
        self.assertEqual(b"", body.read(self.request(b"xy"), 100))


class Decode(harness.WebCase):
    def test_a_good_body(self):
        made = body.decode(b'{"name": "a", "size": 3, "ratio": 1.5}', harness.ThingCreate)
        self.assertEqual(harness.ThingCreate(name="a", size=3, ratio=1.5), made)
        self.assertIsInstance(made, msgspec.Struct)
