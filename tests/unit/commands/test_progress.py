"""The bar: for people only, and gone at the end."""

import io
import unittest

from apisvc.commands import progress
from tests.unit.commands import cli_case


class TestBar(unittest.TestCase):
    def drawn(self, out, *calls):
        with progress.Bar("records", out) as bar:
            for done, total in calls:
                bar(done, total)
        return out.getvalue().split("\r\x1b[K")[1:]

    def test_it_ends_full_and_goes_away(self):
        self.assertEqual(
            [
                "records [####################....................] 1/2",
                f"records [{'#' * 40}] 2/2",
                "",
            ],
            self.drawn(cli_case.Terminal(), (1, 2), (2, 2)),
        )

    def test_without_a_total_it_counts(self):
        self.assertEqual(["records 1", ""], self.drawn(cli_case.Terminal(), (1, None), (2, None)))

    def test_a_file_gets_nothing(self):
        self.assertEqual([], self.drawn(io.StringIO(), (1, 2), (2, 2)))
