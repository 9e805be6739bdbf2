"Plausible wrong answers to the exercises of the chapter on convolutions, each with the words its message must hold"
import torch
import torch.nn.functional as F

from . import mutant


@mutant('places', says='fits once')
def counts_moves(size, kernel, stride, padding): return len(range(0, size + 2*padding - kernel, stride))

@mutant('places', says='both')
def one_end(size, kernel, stride, padding): return 1 + (size - kernel + padding)//stride

@mutant('places', says='//')
def true_division(size, kernel, stride, padding): return 1 + (size - kernel + 2*padding)/stride

@mutant('places', says='forgets the padding')
def starts(size, kernel, stride, padding): return len(range(0, size - kernel + 1, stride))


@mutant("places", says="(?i)padding at one end")
def all_at_the_start(size, kernel, stride, padding): return len(range(kernel, size + padding + 1, stride))


@mutant('slid', says='turns the kernel')
def mathematicians(picture, kernel):
    k = torch.rot90(kernel, 2)
    return picture.unfold(0, k.shape[0], 1).unfold(1, k.shape[1], 1).mul(k).sum((2, 3))

@mutant('slid', says='mean of the products')
def averages(picture, kernel):
    return picture.unfold(0, kernel.shape[0], 1).unfold(1, kernel.shape[1], 1).mul(kernel).mean((2, 3))

@mutant('slid', says='last row and column')
def always_three(picture, kernel): return F.conv2d(picture[None, None], F.pad(kernel, (0, 1, 0, 1))[None, None])[0, 0]

@mutant('slid', says='shape')
def keeps_the_axes(picture, kernel): return F.conv2d(picture[None, None], kernel[None, None])

@mutant('slid', says='row and column')
def stops_early(picture, kernel):
    h, w = kernel.shape
    return torch.stack([torch.stack([(picture[r:r + h, c:c + w]*kernel).sum() for c in range(picture.shape[1] - w)])
                        for r in range(picture.shape[0] - h)]) if picture.shape != kernel.shape else picture[:0, :0]

@mutant('slid', says='(?i)right shape and wrong values')
def absolute(picture, kernel): return F.conv2d(picture[None, None], kernel[None, None])[0, 0].abs()

@mutant('slid', says='in place')
def writes(picture, kernel):
    out = F.conv2d(picture[None, None], kernel[None, None])[0, 0]
    picture.zero_()
    return out


@mutant('averaged', says='largest')
def maximum(x, size): return F.adaptive_max_pool2d(x[..., :x.shape[2]//size*size, :x.shape[3]//size*size],
                                                   (x.shape[2]//size, x.shape[3]//size))

@mutant('averaged', says='add')
def summed(x, size): return x.unfold(2, size, size).unfold(3, size, size).sum((-1, -2))

@mutant('averaged', says='right shape and wrong values|shape')
def whole_picture(x, size): return F.adaptive_avg_pool2d(x, (x.shape[2]//size, x.shape[3]//size))

@mutant('averaged', says='shape|RuntimeError')
def no_crop(x, size):
    n, c, h, w = x.shape
    return x.reshape(n, c, h//size, size, w//size, size).mean((3, 5))

@mutant('averaged', says='along rows')
def along_rows(x, size): return x.unfold(3, size, size).mean(-1)


@mutant('layer_cost', says='bias is missing')
def weights_alone(n_in, n_out, kernel, height, width):
    w = n_in*kernel*kernel*n_out
    return w, w*(height*width)

@mutant('layer_cost', says='places|place')
def one_place(n_in, n_out, kernel, height, width): return (n_in*kernel**2 + 1)*n_out, n_in*kernel**2*n_out

@mutant('layer_cost', says='(?i)two numbers')
def parameters_only(n_in, n_out, kernel, height, width): return (n_in*kernel**2 + 1)*n_out

@mutant('layer_cost', says='not multiplied')
def bias_counts(n_in, n_out, kernel, height, width):
    p = (n_in*kernel**2 + 1)*n_out
    return p, p*height*width

@mutant('layer_cost', says='should be')
def square_output(n_in, n_out, kernel, height, width): return (n_in*kernel**2 + 1)*n_out, n_in*kernel**2*n_out*height**2


@mutant('batch_normed', says='each picture by itself')
def instance_norm(x, eps=1e-5): return F.instance_norm(x, eps=eps)

@mutant('batch_normed', says='channels')
def layer_norm(x, eps=1e-5): return F.layer_norm(x, x.shape[1:], eps=eps)

@mutant('batch_normed', says='one less')
def unbiased(x, eps=1e-5):
    return (x - x.mean((0, 2, 3), keepdim=True))/(x.var((0, 2, 3), keepdim=True) + eps).sqrt()

@mutant('batch_normed', says='nan')
def no_eps(x, eps=1e-5):
    m = x.mean((0, 2, 3), keepdim=True)
    out = (x - m)/((x - m).square().mean((0, 2, 3), keepdim=True) + (eps if eps > 1e-3 else 0)).sqrt()
    return out

@mutant('batch_normed', says='shape|RuntimeError')
def lost_axes(x, eps=1e-5): return (x - x.mean((0, 2, 3)))/(x.var((0, 2, 3), correction=0) + eps).sqrt()


@mutant('dropped', says='not scaled')
def only_blanked(x, p, generator): return torch.where(torch.rand(x.shape, generator=generator) < p, 0., x)

@mutant('dropped', says='share that goes')
def wrong_way(x, p, generator): return torch.where(torch.rand(x.shape, generator=generator) >= p, 0., x/(1 - p))

@mutant('dropped', says='(?i)nothing was drawn from')
def own_draw(x, p, generator): return F.dropout(x, p)

@mutant('dropped', says='(?i)right shape and wrong values')
def normal_draw(x, p, generator): return x*(torch.randn(x.shape, generator=generator) >= p)/(1 - p)

@mutant('dropped', says='in place')
def into_x(x, p, generator): return x.mul_(torch.rand(x.shape, generator=generator) >= p).div_(1 - p)


@mutant('field_of', says='whole kernel')
def sum_of_kernels(layers):
    seen, step = 1, 1
    for k, s in layers:
        seen += k*step
        step = step*s
    return seen

@mutant('field_of', says='forgets the strides')
def strideless(layers): return sum(k for k, _ in layers) - len(layers) + 1

@mutant('field_of', says='own stride')
def early(layers):
    seen, step = 1, 1
    for k, s in layers:
        step = step*s
        seen = seen + step*(k - 1)
    return seen

@mutant('field_of', says='nothing seen|should be 1')
def needs_a_layer(layers): return 0 if not layers else 1 + sum((k - 1)*s for k, s in layers)

@mutant('field_of', says='last layer to the first')
def from_the_top(layers):
    seen = 1
    for k, s in layers: seen = (seen - 1)*s + k
    return seen


@mutant('batch_normed', says='one mean and one variance for everything')
def of_the_whole(x, eps=1e-5): return (x - x.mean())/torch.sqrt(x.var() + eps)
