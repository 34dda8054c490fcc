"""Every block's form in the Prefect UI explains itself, by Prefect's own standard."""

import pytest
from prefect.blocks.core import Block
from prefect.testing.standard_test_suites import BlockStandardTestSuite

from blocks.appwrite import Appwrite
from blocks.appwrite_bucket import AppwriteBucket
from blocks.bucket import Bucket
from blocks.database import Database
from blocks.embedder import Embedder
from blocks.language_model import LanguageModel
from blocks.policy import Policy


class TestForms(BlockStandardTestSuite):
    @pytest.fixture(params=[Appwrite, AppwriteBucket, Bucket, Database, Embedder, LanguageModel, Policy])
    def block(self, request: pytest.FixtureRequest) -> type[Block]:
        return request.param

    def test_has_a_valid_image(self) -> None:
        pytest.skip("a logo would be fetched from the network")
