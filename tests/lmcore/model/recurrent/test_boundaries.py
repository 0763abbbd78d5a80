"""Where documents start, and how a fused layer is made to start anew there."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.model.recurrent.boundaries import find_boundaries, gate_columns

END = 9

STARTS = st.integers(1, 9).flatmap(
    lambda length: st.lists(
        st.lists(st.booleans(), min_size=length, max_size=length), min_size=1, max_size=4
    )
)


def boundaries(*lanes: list[int]):
    return find_boundaries(torch.tensor(lanes), end_id=END)


def test_boundaries_by_hand() -> None:
    found = boundaries([END, 1, 2], [1, END, 2])
    assert found.carried.tolist() == [[0.0], [1.0]]
    assert found.documents.tolist() == [[1, 1, 1], [0, 1, 1]]
    assert found.splice is not None
    # Rows 0 to 5 are the tokens, 6 is the reset step and 7 the holding one.
    assert found.splice.source.tolist() == [[0, 1, 2, 7], [3, 6, 4, 5]]
    assert found.splice.target.tolist() == [[0, 1, 2], [4, 6, 7]]


def test_nothing_is_spliced_where_documents_start_at_the_first_token_or_not_at_all() -> None:
    assert boundaries([1, 2], [END, 2]).splice is None
    assert boundaries([END], [1]).splice is None
    assert boundaries([1, END]).splice is not None


def test_inserted_steps_by_hand() -> None:
    splice = boundaries([1, 2, 3], [1, END, 2]).splice
    assert splice is not None
    x = torch.arange(1.0, 7.0).view(2, 3, 1)
    assert splice.insert(x).tolist() == [
        [[1, 0, 0], [2, 0, 0], [3, 0, 0], [0, 0, 1]],
        [[4, 0, 0], [0, 1, 0], [5, 0, 0], [6, 0, 0]],
    ]


@given(STARTS)
@settings(deadline=None, max_examples=100)
def test_a_splice_adds_a_reset_before_each_inner_start_and_takes_all_of_it_back(
    starts: list[list[bool]],
) -> None:
    tokens = torch.where(torch.tensor(starts), END, 1)
    splice = find_boundaries(tokens, end_id=END).splice
    inner = [sum(lane[1:]) for lane in starts]
    if not max(inner):
        assert splice is None
        return
    assert splice is not None
    lanes, length = tokens.shape
    x = torch.arange(1.0, lanes * length * 2 + 1).view(lanes, length, 2)
    spliced = splice.insert(x)
    assert spliced.shape == (lanes, length + max(inner), 4)
    assert torch.equal(splice.remove(spliced[..., :2]), x)
    for lane in range(lanes):
        reset, hold = spliced[lane, :, 2], spliced[lane, :, 3]
        assert reset.sum() == inner[lane]
        assert hold.sum() == max(inner) - inner[lane]
        # What follows a reset is the token that starts a document; held steps come last.
        following = spliced[lane, reset.nonzero().ravel() + 1]
        assert torch.equal(following[:, :2], x[lane, 1:][torch.tensor(starts[lane][1:])])
        assert hold.tolist() == sorted(hold.tolist())


def test_the_flags_shut_gates_in_the_order_of_the_library() -> None:
    columns = gate_columns(2, like=torch.zeros(1, dtype=torch.float64))
    assert columns.dtype == torch.float64
    shut = -1.0e4
    input_gate, forget_gate, cell, output_gate = columns.view(4, 2, 2).tolist()
    assert input_gate == [[shut, shut]] * 2
    assert forget_gate == [[shut, -shut]] * 2
    assert cell == [[0.0, 0.0]] * 2
    assert output_gate == [[shut, 0.0]] * 2


def test_after_a_reset_nothing_is_left_and_a_held_cell_is_the_same_to_the_bit() -> None:
    torch.manual_seed(0)
    lstm = torch.nn.LSTM(5, 3, batch_first=True)
    with torch.no_grad():
        # The last two inputs are the flags.
        lstm.weight_ih_l0[:, 3:] = gate_columns(3, like=lstm.weight_ih_l0)
    state = (torch.randn(1, 1, 3) * 100, torch.randn(1, 1, 3) * 100)
    reset, hold = torch.tensor([[[0.0, 0, 0, 1, 0]]]), torch.tensor([[[0.0, 0, 0, 0, 1]]])
    y, (hidden, cell) = lstm(reset, state)
    assert not y.any()
    assert not hidden.any()
    assert not cell.any()
    _, (_, cell) = lstm(hold, state)
    assert torch.equal(cell, state[1])
