import msgspec
import testtools

from apisvc.schemas import base


class _Body(base.Body, frozen=True, kw_only=True):
    name: base.Name | None = None
    labels: base.Labels = {}


class _Query(base.ListQuery, frozen=True, kw_only=True):
    label: tuple[base.LabelFilter, ...] = ()


class SharedShapes(testtools.TestCase):
    def test_names(self):
        for name in ("a", "A9", "ann@example.org", "x" * 63):
            self.assertEqual(name, msgspec.convert({"name": name}, _Body).name)
        bad = ("", "-a", "a.", "a b", "a/b", "a\n", "x" * 64, "0198c5a2-7d3e-7c41-9f0a-3b5d8e2a6c11", "é")
        for name in bad:
            self.assertRaises(msgspec.ValidationError, msgspec.convert, {"name": name}, _Body)

    def test_labels(self):
        self.assertEqual({"a/b": "é"}, msgspec.convert({"labels": {"a/b": "é"}}, _Body).labels)
        for labels in ({"": "x"}, {"a=b": "x"}, {"a": "x\n"}, {"a\n": "x"}, {"a": "x" * 256}):
            self.assertRaises(msgspec.ValidationError, msgspec.convert, {"labels": labels}, _Body)
        many = {str(n): "" for n in range(65)}
        self.assertRaises(msgspec.ValidationError, msgspec.convert, {"labels": many}, _Body)

    def test_a_list_query_is_typed(self):
        query = msgspec.convert({"limit": "5", "label": ["a=b"]}, _Query, strict=False)
        self.assertEqual((5, ("a=b",)), (query.limit, query.label))
        for bad in ({"limit": "0"}, {"limit": "x"}, {"marker": "x"}, {"other": "1"}):
            self.assertRaises(msgspec.ValidationError, msgspec.convert, bad, _Query, strict=False)

    def test_label_filters(self):
        labels = {"stage": "test", "empty": ""}
        self.assertTrue(base.labels_match((), labels))
        self.assertTrue(base.labels_match(("stage", "stage=test", "empty="), labels))
        self.assertFalse(base.labels_match(("stage=prod",), labels))
        self.assertFalse(base.labels_match(("stage", "other"), labels))
        self.assertFalse(base.labels_match(("stage=",), labels))

    def test_timestamps(self):
        self.assertEqual("1970-01-01T00:00:01.500000Z", base.timestamp(1.5))
        self.assertIsNone(base.timestamp(None))
