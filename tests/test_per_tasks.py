"""The tasks of benchmarks/per: targets turn as they should, networks projected on a group keep it, every method trains."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from forecasting.symmetry._representations import irreps_matrices
from forecasting.symmetry.groups import parse_group

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from per import motion, tasks, training
from per.network import RelaxedPerceptron, StackedMap, Width
from per.prices import GROUPS, Leaning, Leanings, Mixing

SMALL = Width(4, 3, 2, 2)
BOTH = pytest.mark.parametrize("task", [tasks.inertia(), tasks.cosines()], ids=lambda task: task.name)


def turned(values, irreps, element):
    return values @ torch.from_numpy(irreps_matrices(irreps, element[None])[0].T)


def defect(function, task, group):
    """Largest |f(g x) − g f(x)| over |f(x)|, in float64."""
    inputs = task.sets["test"][0][:50].double()
    plain, worst = function(inputs).detach(), 0.0
    for element in parse_group(group).sample(np.random.default_rng(1), 6):
        after = function(turned(inputs, task.irreps_in, element))
        worst = max(worst, float((after.detach() - turned(plain, task.irreps_out, element)).norm() / plain.norm()))
    return worst


@BOTH
def test_sets_are_those_of_the_protocol(task):
    widths = {"inertia": (20, 9), "cossim": (9, 1)}[task.name]
    for inputs, targets in task.sets.values():
        assert (len(inputs), inputs.shape[1], targets.shape[1]) == (1000, *widths)
        assert inputs.dtype == targets.dtype == torch.float32
    firsts = {name: inputs[0].tolist() for name, (inputs, _) in task.sets.items()}
    assert len({tuple(row) for row in firsts.values()}) == len(firsts)


def test_shifted_rows_move_positions_and_not_masses():
    inputs = tasks.inertia().sets["shifted"][0]
    assert inputs[:, 5:].mean() == pytest.approx(1, abs=0.05)
    assert (inputs[:, :5] > 0).all()


def test_inertia_is_the_tensor_of_the_paper():
    inputs = tasks.inertia().sets["train"][0][:3].double()
    for row, found in zip(inputs, tasks.inertia_target(inputs) @ tasks.tensor_basis().T, strict=True):
        expected = torch.zeros(3, 3, dtype=torch.float64)
        for mass, place in zip(row[:5], row[5:].reshape(5, 3), strict=True):
            expected += mass * (place @ place * torch.eye(3) - torch.outer(place, place))
        z = torch.tensor([0.0, 0, 1], dtype=torch.float64)
        torch.testing.assert_close(found.reshape(3, 3), expected + 0.3 * torch.outer(expected @ z, z))


def test_basis_is_orthogonal_and_turns():
    basis = tasks.tensor_basis()
    torch.testing.assert_close(basis @ basis.T, torch.eye(9, dtype=torch.float64))
    element = parse_group("O(3)").sample(np.random.default_rng(0), 1)[0]
    twice = torch.from_numpy(np.kron(element, element))
    whole = torch.from_numpy(irreps_matrices("1x0e+1x1e+1x2e", element[None])[0])
    torch.testing.assert_close(twice @ basis, basis @ whole)


@BOTH
def test_targets_keep_what_they_should(task):
    assert defect(task.target, task, "SO(2)(z)") < 1e-12
    assert defect(task.target, task, task.keeps) < 1e-12
    assert (defect(task.target, task, "O(3)") < 1e-12) == (task.keeps == "O(3)")
    assert (defect(task.target, task, "C∞v(x)") < 1e-12) == (task.keeps == "O(3)")


@BOTH
@pytest.mark.parametrize("group", [*GROUPS, "SO(3)", "C_4(z)"])
def test_a_projected_network_is_equivariant(task, group):
    torch.manual_seed(0)
    network = RelaxedPerceptron(task.irreps_in, task.irreps_out, 2, SMALL, chain=(group,), start="kept").double()
    free = RelaxedPerceptron(task.irreps_in, task.irreps_out, 2, SMALL).double()
    assert defect(lambda rows: network(rows.expand(2, -1, -1)), task, group) < 1e-10
    assert defect(lambda rows: free(rows.expand(2, -1, -1)), task, group) > 1e-3


def test_gammas_grade_the_parts_of_every_copy():
    torch.manual_seed(0)
    layer = StackedMap("2x0e+2x1o", "1x0e+2x1o+1x2e", 3, ("O(3)", "C∞v(z)"), 2)
    layer.gamma.data = torch.tensor([[1.0, 1.0], [0.5, 0.0], [0.0, -2.0]])
    parts = layer.split.components(layer.matrix)
    for copy in range(3):
        first, second = layer.gamma[copy]
        expected = parts[0][copy] + first * parts[1][copy] + second * parts[2][copy]
        torch.testing.assert_close(layer.effective()[copy], expected)
    sizes = torch.stack([(part.square().sum((1, 2))).sqrt() for part in parts[1:]], dim=1)
    torch.testing.assert_close(layer.levels(), layer.gamma * sizes)


@BOTH
def test_leanings_are_distances_from_the_projected_maps(task):
    network = RelaxedPerceptron(task.irreps_in, task.irreps_out, 2, SMALL)
    leanings = Leanings(network)
    found = leanings(network)
    for index, group in enumerate(GROUPS):
        strict = [StackedMap(layer.irreps_in, layer.irreps_out, 2, (group,)) for layer in network.maps]
        expected = torch.zeros(2)
        for layer, kept in zip(network.maps, strict, strict=True):
            expected += (layer.matrix - kept.split.component(layer.matrix, 0)).square().sum((1, 2)) / 2
        torch.testing.assert_close(found[:, index], expected)
    assert leanings.shares[0] > leanings.shares[1]
    torch.testing.assert_close(leanings.shares[1:], leanings.shares[1].expand(3))


@BOTH
@pytest.mark.parametrize("name", training.METHODS)
def test_two_steps_run(task, name):
    recipe = training.Recipe(2, 1000, 1e-3, 1e-4, 1.0, 1, 2.0, window=1)
    outcome = training.train(task, name, recipe, 2, width=SMALL)
    assert outcome.leanings.shape == (2, 4)
    assert set(outcome.errors) == {"validation", "test", "ood", "shifted"}
    assert all(torch.isfinite(values).all() for values in outcome.errors.values())


def test_copies_learn_apart():
    """A copy trains as if it were alone: its loss has nothing of the others'."""
    task = tasks.cosines()
    torch.manual_seed(0)
    pair = RelaxedPerceptron(task.irreps_in, task.irreps_out, 2, SMALL)
    inputs, targets = task.sets["test"]
    (pair(inputs.expand(2, -1, -1)) - targets).square().mean((1, 2))[0].backward()
    for value in pair.parameters():
        assert value.grad is None or not value.grad[1:].any()


def test_strengths_are_tuned_once_for_every_copy():
    network = RelaxedPerceptron("3x1o", "1x0e", 2, SMALL)
    leaning = Leaning(2.0, 0.5, 0.1, 2.0)
    leaning.attach(network)
    leaning.before_epoch(network, 0.3, lambda: torch.zeros(2))
    assert not torch.isfinite(leaning.smallest).any()
    leaning.before_epoch(network, 0.5, lambda: torch.zeros(2))
    found = Leanings(network)(network)[:, 1:]
    torch.testing.assert_close(leaning.strengths[:, 1:], 2.0 * (found.min(1, keepdim=True).values / found) ** 2)
    assert (leaning.strengths[:, 0] == 0).all()


def test_mixed_keeps_for_every_copy_what_its_validation_allows():
    options = {"chain": ("O(3)", "C∞v(z)"), "grades": 2, "start": "kept"}
    network = RelaxedPerceptron("3x1o", "1x0e", 3, SMALL, **options)
    mixing = Mixing()
    mixing.attach(network)
    losses = iter([torch.tensor([1.0, 1.0, 1.0]), torch.tensor([1.0, 1.05, 2.0]), torch.tensor([1.05, 9.0, 9.0])])
    mixing.before_epoch(network, 0.8, lambda: next(losses))
    assert mixing.kept.tolist() == [0, 1, 2]
    assert network.maps[0].gamma.tolist() == [[0, 0], [1, 0], [1, 1]]


def test_constant_velocity_is_exact_on_straight_lines():
    time = torch.arange(12.0)[None, :, None]
    windows = torch.tensor([[[1.0, -2.0, 0.5]]]) * time + 3
    for back in (1, 5):
        torch.testing.assert_close(motion.drift(windows, back), windows[:, 6:])


def test_motion_windows_are_centred_on_their_past_and_cut_in_time(real_data):
    folder = real_data / "others" / "aircraft-adsb"
    if not folder.is_dir():
        pytest.skip("no aircraft tracks here")
    found = motion.flights(folder)
    for inputs, targets in found.task.sets.values():
        assert inputs.shape == targets.shape == (len(inputs), 18)
        assert inputs.unflatten(1, (6, 3)).mean(1).abs().max() < 1e-5
    assert len(found.task.sets["train"][0]) > 1000
    assert len(found.task.sets["test"][0]) > 100
