"""The folded networks against the textbook: each example on its own, matrix by matrix in the written order, in float64."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import KINDS, SIZES, build, stack, weights_of
from torch.func import functional_call

from common.randomness import generator
from experiments.tell import consequence
from models import MODELS
from models.model import Model

pytestmark = pytest.mark.numerics

TEXTBOOK_ACT = {
    "relu": lambda z: torch.where(z > 0, z, torch.zeros_like(z)),
    "gelu": lambda z: z * (1 + torch.erf(z / math.sqrt(2))) / 2,
}


def textbook_mlp(w, example, act):
    a, b = example.tolist()
    hidden = act(w["W_inproj"] @ (w["W_E"][:, a] + w["W_E"][:, b]))
    for layer in range(sum(name.startswith("W_h") for name in w)):
        hidden = act(w[f"W_h.{layer}"] @ hidden)
    return w["W_U"].T @ (w["W_outproj"] @ hidden)


def textbook_image(w, example, act):
    hidden = act(w["W_in"] @ example)
    for layer in range(sum(name.startswith("W_h") for name in w)):
        hidden = act(w[f"W_h.{layer}"] @ hidden)
    return w["W_out"] @ hidden


def textbook_transformer(w, example, act, num_heads):
    stream = [w["W_E"][:, token] for token in example.tolist()]
    d_head = len(stream[0]) // num_heads
    for layer in range(sum(name.endswith("W_Q") for name in w)):
        q, k, v, o, w_in, w_out = (w[f"blocks.{layer}.W_{name}"] for name in ("Q", "K", "V", "O", "in", "out"))
        attended = [x.clone() for x in stream]
        for head in range(num_heads):
            rows = slice(head * d_head, (head + 1) * d_head)
            for asking in range(len(stream)):
                query = q[rows] @ stream[asking]
                scores = [query @ (k[rows] @ stream[seen]) / math.sqrt(d_head) for seen in range(asking + 1)]
                weights = [score.exp() / sum(other.exp() for other in scores) for score in scores]
                mixed = sum(weight * (v[rows] @ stream[seen]) for seen, weight in enumerate(weights))
                attended[asking] = attended[asking] + o[:, rows] @ mixed
        stream = [x + w_out @ act(w_in @ x) for x in attended]
    return w["W_U"].T @ stream[-1]


def textbook(kind, w, x, act_type, num_heads):
    """Logits example by example, ``x (n, ...) -> (n, c)``."""
    act = TEXTBOOK_ACT[act_type]
    more = {"mlp": (), "image": (), "transformer": (num_heads,)}[kind]
    network = {"mlp": textbook_mlp, "image": textbook_image, "transformer": textbook_transformer}[kind]
    return torch.stack([network(w, example, act, *more) for example in x])


def inputs(kind, shape, sizes, source):
    if kind == "image":
        return torch.rand(*shape, sizes["num_pixels"], generator=source, dtype=torch.float64)
    return torch.randint(sizes["p"], (*shape, 2), generator=source)


@st.composite
def networks(draw, kind):
    """Sizes that all differ where they may, an activation, leading axes, examples and a seed."""
    num_heads = draw(st.integers(1, 3))
    width = num_heads * draw(st.integers(1, 4))
    sizes = {"num_classes": draw(st.integers(2, 6)), "num_layers": draw(st.integers(0, 2)), "d_model": width}
    if kind == "mlp":
        sizes |= {"p": draw(st.integers(2, 6)), "d_emb": draw(st.integers(1, 6))}
    elif kind == "image":
        sizes |= {"num_pixels": draw(st.integers(1, 6))}
    else:
        sizes |= {"p": draw(st.integers(2, 6)), "d_mlp": draw(st.integers(1, 6)), "num_heads": num_heads}
        sizes["num_layers"] = 1 + sizes["num_layers"]
    return {
        "sizes": sizes | {"act_type": draw(st.sampled_from(("relu", "gelu")))},
        "lead": draw(st.sampled_from(((), (1,), (3,), (2, 2)))),
        "shares_input": draw(st.booleans()),
        "num_examples": draw(st.integers(1, 4)),
        "seed": draw(st.integers(0, 1000)),
    }


@pytest.mark.parametrize("kind", KINDS)
def test_logits_and_gradients_are_the_textbook_s(kind):
    """For random shapes, and for a population along leading axes as for each of its networks."""

    @settings(deadline=None, max_examples=30)
    @given(case=networks(kind))
    def check(case):
        sizes, lead, seed = case["sizes"], case["lead"], case["seed"]
        source = torch.Generator().manual_seed(seed)
        model = build(kind, seed, **sizes).double()
        for weight in model.parameters():
            normal = torch.randn(*lead, *weight.shape, generator=source, dtype=torch.float64)
            weight.data = normal / weight.shape[-1] ** 0.5
        shape = (case["num_examples"],) if case["shares_input"] else (*lead, case["num_examples"])
        x = inputs(kind, shape, sizes, source)
        logits = model(model.encode(x))
        assert logits.shape == (*lead, case["num_examples"], sizes["num_classes"])
        pull = torch.randn(logits.shape, generator=source, dtype=torch.float64)
        (logits * pull).sum().backward()
        x = x.expand(*lead, *x.shape[-2:])
        for index in itertools.product(*map(range, lead)):
            w = {name: weight.detach()[index].clone().requires_grad_() for name, weight in model.named_parameters()}
            expected = textbook(kind, w, x[index], sizes["act_type"], sizes.get("num_heads"))
            (expected * pull[index]).sum().backward()
            torch.testing.assert_close(logits[index], expected, rtol=1e-9, atol=1e-9)
            for name, weight in model.named_parameters():
                torch.testing.assert_close(weight.grad[index], w[name].grad, rtol=1e-8, atol=1e-8, msg=name)

    check()


@pytest.mark.parametrize("kind", KINDS)
def test_float32_weights_give_the_textbook_s_logits_in_float32(kind):
    model = build(kind)
    x = inputs(kind, (20,), {"p": 7, "num_pixels": 11}, generator(0, "x"))
    logits = model(model.encode(x))
    w = {name: weight.double() for name, weight in weights_of(model).items()}
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits.double(), textbook(kind, w, x, "relu", 2), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("act_type", ["relu", "gelu"])
def test_gradients_are_the_slopes_of_the_logits(kind, act_type):
    """Central differences of a smooth function of the logits, along one direction in each matrix."""
    model = build(kind, act_type=act_type).double()
    source = generator(1, "direction")
    x = model.encode(inputs(kind, (9,), {"p": 7, "num_pixels": 11}, source))
    model(x).logsumexp(-1).sum().backward()
    for name, weight in model.named_parameters():
        direction = torch.randn(weight.shape, generator=source, dtype=torch.float64)
        step = 1e-6 * direction
        ends = [functional_call(model, {name: weight.data + sign * step}, (x,)) for sign in (1, -1)]
        slope = (ends[0].logsumexp(-1).sum() - ends[1].logsumexp(-1).sum()) / 2e-6
        assert slope.abs() > 1e-3, "a slope that says something"
        torch.testing.assert_close(slope.detach(), (weight.grad * direction).sum(), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("kind", ["mlp", "transformer"])
def test_numbers_and_encoded_numbers_give_the_same(kind):
    model = build(kind)
    x = torch.randint(7, (15, 2), generator=generator(0, "x"))
    assert torch.equal(model(x), model(model.encode(x)))


EXPECTED_STD = {  # (shape, standard deviation at weight_scale 1), from the paper's table
    "mlp": (
        {"p": 131, "num_classes": 97, "d_emb": 151, "d_model": 89, "num_layers": 2},
        {
            "W_E": ((151, 131), 131**-0.5),
            "W_inproj": ((89, 151), 151**-0.5),
            "W_h.0": ((89, 89), 89**-0.5),
            "W_h.1": ((89, 89), 89**-0.5),
            "W_outproj": ((151, 89), 89**-0.5),
            "W_U": ((151, 97), 151**-0.5),
        },
    ),
    "transformer": (
        {"p": 131, "num_classes": 113, "d_model": 96, "d_mlp": 150, "num_heads": 3, "num_layers": 2},
        {
            "W_E": ((96, 131), 131**-0.5),
            **{f"blocks.{block}.W_{name}": ((96, 96), 96**-0.5) for block in range(2) for name in "QKVO"},
            **{f"blocks.{block}.W_in": ((150, 96), 96**-0.5) for block in range(2)},
            **{f"blocks.{block}.W_out": ((96, 150), 96**-0.5) for block in range(2)},
            "W_U": ((96, 113), 96**-0.5),
        },
    ),
    "image": (
        {"num_pixels": 171, "num_classes": 83, "d_model": 120, "num_layers": 2},
        {
            "W_in": ((120, 171), 171**-0.5),
            "W_h.0": ((120, 120), 120**-0.5),
            "W_h.1": ((120, 120), 120**-0.5),
            "W_out": ((83, 120), 120**-0.5),
        },
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weight_scale", [1.0, 8.0])
def test_the_init_is_normal_with_the_paper_s_standard_deviations(kind, weight_scale):
    sizes, expected = EXPECTED_STD[kind]
    weights = dict(build(kind, weight_scale=weight_scale, **sizes).named_parameters())
    assert set(weights) == set(expected), "the paper's matrices, and no biases"
    for name, (shape, std) in expected.items():
        weight = weights[name].detach()
        assert weight.shape == shape
        assert weight.dtype == torch.float32
        z = weight.double().flatten() / (std * weight_scale)
        error = len(z) ** -0.5  # of the mean; of the standard deviation 0.7 times, of the fourth moment 9.8 times this
        assert abs(z.mean()) < 5 * error, name
        assert abs(z.std() - 1) < 5 * 0.71 * error, name
        assert abs((z**4).mean() - 3) < 5 * 9.8 * error, name


@pytest.mark.parametrize("kind", KINDS)
def test_the_init_comes_from_the_seed_alone(kind):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = weights_of(build(kind, 3))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    again, other = weights_of(build(kind, 3)), weights_of(build(kind, 4))
    for name, weight in first.items():
        assert torch.equal(weight, again[name])
        assert not (weight == other[name]).any()
    square = [weight for weight in first.values() if weight.shape == first[name].shape]
    assert len({tuple(weight.flatten().tolist()) for weight in square}) == len(square), "each matrix its own numbers"


def test_generators_of_one_seed_are_separate_streams():
    def numbers(seed, purpose):
        return torch.rand(50, generator=generator(seed, purpose)).tolist()

    streams = [numbers(seed, purpose) for seed in (0, 1, 10) for purpose in ("init", "labels", "mask")]
    assert len({number for stream in streams for number in stream}) > 0.99 * 9 * 50
    assert numbers(1, "init") == streams[3]
    torch.rand(7, generator=generator(0, "labels"))
    assert numbers(0, "init") == streams[0]


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_model_says_of_its_network_before_it_is_built(kind):
    fields = dict(SIZES[kind])
    num_inputs, num_classes = fields.pop("num_pixels" if kind == "image" else "p"), fields.pop("num_classes")
    model = MODELS["image_mlp" if kind == "image" else kind](**fields)
    shapes = {name: weight.shape for name, weight in build(kind).named_parameters()}
    assert model.num_weights(num_inputs, num_classes) == sum(map(math.prod, shapes.values()))
    units = model.units(list(shapes))
    assert len(units) == {"mlp": 4, "transformer": 2, "image": 3}[kind]
    for sides in units:
        assert len({shapes[name][axis] for name, axis in sides}) == 1
    assert Model().units(list(shapes)) is Model().num_weights(3, 2) is None


@pytest.mark.parametrize("num_layers", [1, 2])
def test_a_population_of_transformers_copies_no_matrix_for_each_example(num_layers):
    """What its backward pass keeps is that of its networks one by one."""

    def kept(model, x):
        saved = {}

        def note(tensor):
            saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            model(x)
        return sum(saved.values())

    sizes = {"p": 7, "d_model": 16, "d_mlp": 16, "num_layers": num_layers}
    x = inputs("transformer", (40,), {"p": 7}, generator(0, "x"))
    alone = kept(build("transformer", **sizes), x)
    together = kept(stack([build("transformer", seed, **sizes) for seed in range(4)]), torch.stack([x] * 4))
    assert together < 4.5 * alone


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind in KINDS for name, _ in build(kind).named_parameters()]
)
def test_consequence_with_a_matrix(kind, name):
    """The logits are the same for every input if and only if the warning says that nothing can be learned."""
    model, x = build(kind).double(), inputs(kind, (15,), SIZES[kind], generator(0, "x"))
    with torch.no_grad():
        model.get_parameter(name).zero_()
        logits = model(x)
    constant = bool((logits == logits[:1]).all())
    assert ("nothing can be learned" in consequence(name)) == constant
    assert ("can still learn" in consequence(name)) != constant
