import numpy as np
import torch

from training_endpoint.learn import warm


def test_all_new_rows_are_taken_and_a_draw_of_the_others() -> None:
    new = np.zeros(10_000, bool)
    new[[5, 70, 9_000, *range(200, 400)]] = True
    taken = warm.places(new, 1)
    assert set(np.flatnonzero(new)) <= set(taken) and len(set(taken)) == len(taken)
    assert len(taken) == 203 * (1 + warm.REPLAYED)
    assert np.array_equal(taken, warm.places(new, 1)) and not np.array_equal(taken, warm.places(new, 2))


def test_few_new_rows_do_not_pull_the_model_to_themselves() -> None:
    new = np.zeros(10_000, bool)
    new[7] = True
    assert len(warm.places(new, 0)) == warm.LEAST
    assert len(warm.places(np.array([True, False, False]), 0)) == 3, "more there are not"


def test_the_mean_lies_between_what_was_and_what_was_learned() -> None:
    model = torch.nn.Linear(2, 2)
    before = warm.weights(model)
    with torch.no_grad():
        model.weight.add_(1.0)
    warm.average(model, before, 0.25)
    torch.testing.assert_close(model.weight.detach(), before["weight"] + 0.25)
    torch.testing.assert_close(model.bias.detach(), before["bias"])
