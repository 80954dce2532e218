from __future__ import annotations

import torch

from runtime.errors import InvalidParameter
from runtime.sampling.plan import SamplingPlan

CPU = torch.device("cpu")


def test_a_plan_fits_the_same_rows_in_the_same_order_only(make_row):
    one, two = make_row(), make_row()
    plan = SamplingPlan([one, two], 10, CPU)
    assert plan.fits([one, two], CPU)
    assert not plan.fits([two, one], CPU)
    assert not plan.fits([one], CPU)
    assert not plan.fits([one, make_row()], CPU)
    assert not plan.fits([one, two], torch.device("meta"))


def test_greedy_rows_need_no_part_and_leave_logits_alone(make_row):
    plan = SamplingPlan([make_row(temperature=0.0)] * 2, 10, CPU)
    logits = torch.randn(2, 10)
    before = logits.clone()
    plan.edit(logits)
    assert plan.errors == {}
    assert torch.equal(logits, before)
    assert plan.draws is None
    assert plan.logprobs is None


def test_a_bias_beyond_the_vocabulary_fails_its_row_only(make_row):
    plan = SamplingPlan([make_row(logit_bias={9: 2.0}), make_row(logit_bias={10: 2.0, 1: 1.0})], 10, CPU)
    logits = torch.zeros(2, 10)
    plan.edit(logits)
    assert list(plan.errors) == [1]
    assert isinstance(plan.errors[1], InvalidParameter)
    assert logits.nonzero().tolist() == [[0, 9]]
