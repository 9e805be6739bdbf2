"What the exercises of the chapter on convolutions are held against"
import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.exercises import Answer, exercise, expect, mistake, same


@exercise
def places(answer: Answer) -> None:
    for size, kernel, stride, padding in [(14, 3, 1, 2), (8, 3, 2, 0), (7, 3, 2, 0), (13, 3, 2, 1), (8, 5, 3, 2),
                                          (6, 6, 2, 0), (9, 2, 4, 0)]:
        want = (size + 2*padding - kernel)//stride + 1
        same(answer(size, kernel, stride, padding), want, what='number of places', mistakes=answer.mistakes())


@mistake(places, 'yours adds the first place before it divides by the stride: the window has it whatever the stride')
def _one_inside(size: int, kernel: int, stride: int, padding: int) -> int:
    return (size + 2*padding - kernel + 1)//stride


@mistake(places, 'the first place is missing: the window fits once before it moves at all')
def _without_the_first(size: int, kernel: int, stride: int, padding: int) -> int:
    return (size + 2*padding - kernel)//stride


@mistake(places, 'yours lays the padding at one end only: it lies at both')
def _padded_once(size: int, kernel: int, stride: int, padding: int) -> int:
    return (size + padding - kernel)//stride + 1


@mistake(places, 'yours forgets the padding')
def _not_padded(size: int, kernel: int, stride: int, padding: int) -> int: return (size - kernel)//stride + 1


@mistake(places, 'yours counts the places for stride 1: the window moves by `stride` each time')
def _every_pixel(size: int, kernel: int, stride: int, padding: int) -> int: return size + 2*padding - kernel + 1


@mistake(places, 'yours rounds up: a rest that is smaller than a stride is not visited')
def _rounded_up(size: int, kernel: int, stride: int, padding: int) -> int:
    return -(-(size + 2*padding - kernel)//stride) + 1


@mistake(places, 'a number of places is whole: divide with `//`')
def _a_fraction(size: int, kernel: int, stride: int, padding: int) -> float:
    return (size + 2*padding - kernel)/stride + 1


@exercise
def slid(answer: Answer) -> None:
    for shape, kernel in [((5, 6), (3, 3)), ((4, 7), (2, 3)), ((6, 5), (1, 2)), ((3, 3), (3, 3)), ((5, 5), (3, 2))]:
        x, w = torch.randn(shape, generator=answer.generator), torch.randn(kernel, generator=answer.generator)
        same(answer(x, w), F.conv2d(x[None, None], w[None, None])[0, 0], what='map of answers', rtol=1e-4, atol=1e-5,
             mistakes=answer.mistakes())


@mistake(slid, 'yours turns the kernel round first: here it is laid on as it is')
def _turned(picture: Tensor, kernel: Tensor) -> Tensor:
    return F.conv2d(picture[None, None], kernel.flip(0, 1)[None, None])[0, 0]


@mistake(slid, 'yours pads the picture: only places where the kernel fits are asked for')
def _padded(picture: Tensor, kernel: Tensor) -> Tensor:
    return F.conv2d(picture[None, None], kernel[None, None], padding=1)[0, 0]


@mistake(slid, 'yours is the mean of the products: add them up')
def _mean_of_products(picture: Tensor, kernel: Tensor) -> Tensor:
    return F.conv2d(picture[None, None], kernel[None, None])[0, 0]/kernel.numel()


@mistake(slid, 'the kernel stands on its side in yours: its rows lie under rows of the picture')
def _kernel_on_its_side(picture: Tensor, kernel: Tensor) -> Tensor:
    return F.conv2d(picture[None, None], kernel.T[None, None])[0, 0]


@mistake(slid, 'the last row and column of places are missing: the kernel still fits there')
def _one_short(picture: Tensor, kernel: Tensor) -> Tensor:
    return F.conv2d(picture[None, None], kernel[None, None])[0, 0, :-1, :-1]


@mistake(slid, 'the map stands on its side: rows of it are rows of the picture')
def _map_on_its_side(picture: Tensor, kernel: Tensor) -> Tensor:
    return F.conv2d(picture[None, None], kernel[None, None])[0, 0].T


@exercise
def averaged(answer: Answer) -> None:
    for shape, size in [((2, 3, 4, 6), 2), ((1, 2, 7, 5), 2), ((2, 1, 6, 9), 3), ((3, 2, 4, 4), 4), ((1, 1, 5, 8), 1)]:
        x = torch.randn(shape, generator=answer.generator)
        same(answer(x, size), F.avg_pool2d(x, size), what='averages', rtol=1e-4, atol=1e-5, mistakes=answer.mistakes())


@mistake(averaged, 'yours keeps the largest of each square: the mean is asked for')
def _the_largest(x: Tensor, size: int) -> Tensor: return F.max_pool2d(x, size)


@mistake(averaged, 'yours adds each square up: divide by how many pixels it has')
def _the_sum(x: Tensor, size: int) -> Tensor: return F.avg_pool2d(x, size)*size*size


@mistake(averaged, 'yours rounds up and averages squares that are not full: leave them out')
def _with_the_rest(x: Tensor, size: int) -> Tensor: return F.avg_pool2d(x, size, ceil_mode=True)


@mistake(averaged, 'yours moves by one pixel: squares lie side by side, and do not overlap')
def _overlapping(x: Tensor, size: int) -> Tensor: return F.avg_pool2d(x, size, stride=1)


@mistake(averaged, 'yours keeps one pixel of each square: the others count too')
def _the_corner(x: Tensor, size: int) -> Tensor:
    return x[:, :, :x.shape[2]//size*size:size, :x.shape[3]//size*size:size]


@mistake(averaged, 'the axes of `reshape` stand in the wrong order: first which square, then which row in it; so yours '
                   'averages pixels that lie far apart')
def _far_apart(x: Tensor, size: int) -> Tensor:
    n, c, h, w = x.shape
    x = x[:, :, :h//size*size, :w//size*size]
    return x.reshape(n, c, size, h//size, size, w//size).mean((2, 4))


@mistake(averaged, 'yours averages along rows only: a square has columns as well')
def _rows_only(x: Tensor, size: int) -> Tensor: return F.avg_pool2d(x, (1, size))


@exercise
def layer_cost(answer: Answer) -> None:
    for n_in, n_out, kernel, height, width in [(1, 8, 3, 14, 14), (8, 16, 3, 7, 5), (3, 4, 5, 6, 9), (16, 2, 1, 4, 3)]:
        weights = n_in*n_out*kernel*kernel
        got = answer(n_in, n_out, kernel, height, width)
        expect(isinstance(got, (tuple, list)) and len(got) == 2,
               'two numbers are asked for: the parameters, and the multiplications for one picture')
        same(tuple(got), (weights + n_out, weights*height*width), what='pair of counts',
             mistakes=answer.mistakes(lambda fn: tuple(fn(n_in, n_out, kernel, height, width))))


@mistake(layer_cost, 'the bias is missing among the parameters: one for each kernel')
def _no_bias(n_in: int, n_out: int, kernel: int, height: int, width: int) -> tuple:
    return n_in*n_out*kernel**2, n_in*n_out*kernel**2*height*width


@mistake(layer_cost, 'a kernel has `kernel` rows and as many columns: yours counts one side of it')
def _one_side(n_in: int, n_out: int, kernel: int, height: int, width: int) -> tuple:
    return n_in*n_out*kernel + n_out, n_in*n_out*kernel*height*width


@mistake(layer_cost, 'a kernel has a plane for each channel that comes in: yours has one for all')
def _one_plane(n_in: int, n_out: int, kernel: int, height: int, width: int) -> tuple:
    return n_out*kernel**2 + n_out, n_out*kernel**2*height*width


@mistake(layer_cost, 'every number of a kernel is used at every place: yours counts it once')
def _used_once(n_in: int, n_out: int, kernel: int, height: int, width: int) -> tuple:
    return n_in*n_out*kernel**2 + n_out, n_in*n_out*kernel**2


@mistake(layer_cost, 'the bias is added, not multiplied: it does not count among the multiplications')
def _bias_multiplied(n_in: int, n_out: int, kernel: int, height: int, width: int) -> tuple:
    both = n_in*n_out*kernel**2 + n_out
    return both, both*height*width


@mistake(layer_cost, 'yours gives a bias to each channel that comes in: a kernel has one, so there are `n_out`')
def _bias_of_inputs(n_in: int, n_out: int, kernel: int, height: int, width: int) -> tuple:
    return n_in*n_out*kernel**2 + n_in, n_in*n_out*kernel**2*height*width


@mistake(layer_cost, 'the two numbers are there and have changed places: parameters first')
def _the_other_way(n_in: int, n_out: int, kernel: int, height: int, width: int) -> tuple:
    return n_in*n_out*kernel**2*height*width, n_in*n_out*kernel**2 + n_out


@exercise
def batch_normed(answer: Answer) -> None:
    for shape, eps in [((4, 3, 5, 2), 1e-5), ((2, 1, 3, 3), 1e-5), ((3, 4, 4, 6), 0.1), ((5, 2, 1, 7), 1e-5)]:
        x = 2*torch.randn(shape, generator=answer.generator) + torch.arange(shape[1])[:, None, None] + 1
        x = x*torch.linspace(0.5, 2, shape[0])[:, None, None, None]
        same(answer(x, eps), F.batch_norm(x, None, None, training=True, eps=eps), what='normalised batch', rtol=1e-3,
             atol=1e-4, mistakes=answer.mistakes())
    flat = torch.full((2, 2, 3, 3), 0.5)
    got = answer(flat)
    expect(not got.isnan().any(), 'a channel that never changes has the variance 0 and gives nan in yours: `eps` '
                                  'belongs to the variance before the root is taken')
    same(got, torch.zeros_like(flat), what='normalised flat picture', atol=1e-3)


def _normed(x: Tensor, eps: float, dims: tuple[int, ...], correction: int = 0) -> Tensor:
    var, mean = torch.var_mean(x, dims, correction=correction, keepdim=True)
    return (x - mean)/(var + eps).sqrt()


@mistake(batch_normed, 'yours takes one mean and one variance for everything: each channel has its own')
def _all_together(x: Tensor, eps: float = 1e-5) -> Tensor: return _normed(x, eps, (0, 1, 2, 3))


@mistake(batch_normed, 'yours takes one mean and one variance for everything: all the channels are mixed in them')
def _all_together_one_less(x: Tensor, eps: float = 1e-5) -> Tensor: return _normed(x, eps, (0, 1, 2, 3), 1)


@mistake(batch_normed, 'yours normalises each picture by itself: the batch shares its mean and variance')
def _picture_by_picture(x: Tensor, eps: float = 1e-5) -> Tensor: return _normed(x, eps, (2, 3))


@mistake(batch_normed, 'yours averages over the channels: they are what is to be kept apart')
def _over_channels(x: Tensor, eps: float = 1e-5) -> Tensor: return _normed(x, eps, (1, 2, 3))


@mistake(batch_normed, 'yours averages over the batch alone, place by place: all places of a channel count together')
def _place_by_place(x: Tensor, eps: float = 1e-5) -> Tensor: return _normed(x, eps, (0,))


@mistake(batch_normed, 'yours divides the variance by one less than the number of values: batch norm divides by all')
def _one_less(x: Tensor, eps: float = 1e-5) -> Tensor: return _normed(x, eps, (0, 2, 3), 1)


@mistake(batch_normed, 'yours divides by the variance: take its root first')
def _no_root(x: Tensor, eps: float = 1e-5) -> Tensor:
    var, mean = torch.var_mean(x, (0, 2, 3), correction=0, keepdim=True)
    return (x - mean)/(var + eps)


@mistake(batch_normed, 'the mean is gone and the spread is left: divide by the root of the variance')
def _mean_only(x: Tensor, eps: float = 1e-5) -> Tensor: return x - x.mean((0, 2, 3), keepdim=True)


@mistake(batch_normed, 'yours adds `eps` after the root: it belongs to the variance')
def _eps_outside(x: Tensor, eps: float = 1e-5) -> Tensor:
    var, mean = torch.var_mean(x, (0, 2, 3), correction=0, keepdim=True)
    return (x - mean)/(var.sqrt() + eps)


@exercise
def dropped(answer: Answer) -> None:
    for shape, p, seed in [((200,), 0.3, 1), ((6, 20), 0.5, 2), ((2, 3, 4, 5), 0.1, 3), ((50,), 0., 4)]:
        x = torch.randn(shape, generator=answer.generator)
        want = x*(torch.rand(shape, generator=torch.Generator().manual_seed(seed)) >= p)/(1 - p)
        got, unused = answer(x, p, torch.Generator().manual_seed(seed)), torch.Generator().manual_seed(seed)
        elsewhere = {'nothing was drawn from `generator`: yours blanks other numbers than those that it '
                     'names': got} if answer.inputs[2].get_state().equal(unused.get_state()) else {}
        same(got, want, what='numbers after dropout', mistakes=answer.mistakes() | elsewhere)


@mistake(dropped, 'the right numbers are blanked, and the rest is not scaled up: on average yours are too small')
def _not_scaled(x: Tensor, p: float, generator: torch.Generator) -> Tensor:
    return x*(torch.rand(x.shape, generator=generator) >= p)


@mistake(dropped, 'yours keeps a share `p`: that is the share that goes')
def _kept_p(x: Tensor, p: float, generator: torch.Generator) -> Tensor:
    return x*(torch.rand(x.shape, generator=generator) < p)/(1 - p)


@mistake(dropped, 'yours divides by `p`: what is left is the share `1 - p`')
def _over_p(x: Tensor, p: float, generator: torch.Generator) -> Tensor:
    return x*(torch.rand(x.shape, generator=generator) >= p)/p


@mistake(dropped, 'yours multiplies by `1 - p`, which makes the numbers smaller once more: divide by it')
def _scaled_down(x: Tensor, p: float, generator: torch.Generator) -> Tensor:
    return x*(torch.rand(x.shape, generator=generator) >= p)*(1 - p)


@mistake(dropped, 'yours blanks by size, the same numbers each time: which go is up to chance')
def _the_smallest(x: Tensor, p: float, generator: torch.Generator) -> Tensor:
    return x*(x.abs() >= x.abs().flatten().quantile(p))/(1 - p)


@mistake(dropped, 'yours draws one number for each row: every number is blanked on its own')
def _row_by_row(x: Tensor, p: float, generator: torch.Generator) -> Tensor:
    return x*(torch.rand(x.shape[0], *[1]*(x.ndim - 1), generator=generator) >= p)/(1 - p)


@mistake(dropped, 'nothing is blanked in yours')
def _untouched(x: Tensor, p: float, generator: torch.Generator) -> Tensor: return x.clone()


@exercise
def field_of(answer: Answer) -> None:
    for layers in ([(3, 1), (3, 1)], [], [(3, 2), (3, 2), (3, 2)], [(7, 2), (3, 2), (3, 1), (5, 1)], [(2, 2), (1, 1)],
                   [(1, 3), (3, 1)]):
        seen, step = 1, 1
        for kernel, stride in layers: seen, step = seen + (kernel - 1)*step, step*stride
        same(answer(layers), seen, what=f'receptive field of {layers}', mistakes=answer.mistakes())


@mistake(field_of, 'yours adds the whole kernel each time: its first place lies on what is seen already')
def _whole_kernels(layers: list) -> int:
    seen, step = 1, 1
    for kernel, stride in layers: seen, step = seen + kernel*step, step*stride
    return seen


@mistake(field_of, "yours lets a layer's own stride count for the layer itself: it counts from the next one on")
def _stride_too_early(layers: list) -> int:
    seen, step = 1, 1
    for kernel, stride in layers:
        step *= stride
        seen += (kernel - 1)*step
    return seen


@mistake(field_of, 'yours forgets the strides: after one of two, a step is two pixels of the picture')
def _no_strides(layers: list) -> int: return 1 + sum(kernel - 1 for kernel, _ in layers)


@mistake(field_of, 'yours multiplies the kernels: each adds its reach')
def _product(layers: list) -> int:
    seen = 1
    for kernel, _ in layers: seen *= kernel
    return seen


@mistake(field_of, 'yours starts with nothing seen: before any layer a number sees its own pixel')
def _from_zero(layers: list) -> int:
    seen, step = 0, 1
    for kernel, stride in layers: seen, step = seen + (kernel - 1)*step, step*stride
    return seen


@mistake(field_of, 'yours adds the strides up: they multiply')
def _strides_added(layers: list) -> int:
    seen, step = 1, 1
    for kernel, stride in layers: seen, step = seen + (kernel - 1)*step, step + stride - 1
    return seen


@mistake(field_of, 'yours walks from the last layer to the first: the first one is nearest the picture')
def _backwards(layers: list) -> int:
    seen, step = 1, 1
    for kernel, stride in reversed(layers): seen, step = seen + (kernel - 1)*step, step*stride
    return seen
