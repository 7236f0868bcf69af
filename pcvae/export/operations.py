"""What the graphs of an export are made of; anything else is not loaded."""

# Arithmetic, shapes, noise, loops, and the reading of variables of the graph's own.
_NAMES = """
Abs AddN AddV2 All Any ArgMax Assert AssignVariableOp AvgPool BatchMatMulV2 BiasAdd Bitcast
BroadcastArgs BroadcastTo Cast Ceil ConcatV2 Const Conv2D Cos Cumsum DepthwiseConv2dNative
DisableCopyOnRead Equal Erf Erfc Exp ExpandDims Expm1 Fill Floor FloorDiv FloorMod GatherNd GatherV2
Greater GreaterEqual Identity IdentityN If IsFinite Less LessEqual Log Log1p LogSoftmax LogicalAnd
LogicalNot LogicalOr MatMul Max Maximum Mean Min Minimum Mul MulNoNan Ndtri Neg NoOp NotEqual OneHot
OnesLike Pack Pad PadV2 PartitionedCall Placeholder Pow Prod Range ReadVariableOp RealDiv Relu
Reshape ReverseV2 RightShift Rint Round Rsqrt Select SelectV2 Shape ShardedFilename Sigmoid Sign Sin
Slice Softmax Softplus Split SplitV Sqrt Square SquaredDifference Squeeze StatefulPartitionedCall
StatelessIf StatelessRandomUniformFullIntV2 StatelessWhile StaticRegexFullMatch StopGradient
StridedSlice StringJoin Sub Sum Tanh TensorListConcatV2 TensorListElementShape TensorListFromTensor
TensorListGetItem TensorListLength TensorListReserve TensorListSetItem TensorListStack Tile
Transpose Unpack VarHandleOp While ZerosLike
"""
OPERATIONS = frozenset(_NAMES.split())
# They touch files. TensorFlow puts them into the functions by which a SavedModel could be saved
# again; nobody calls those here, and nothing may refer to them.
FILE_OPERATIONS = frozenset({"MergeV2Checkpoints", "RestoreV2", "SaveV2"})
# Kinds of objects: Keras' own would be revived by their classes.
OBJECTS = frozenset(
    {
        "_generic_user_object",
        "bare_concrete_function",
        "constant",
        "function",
        "signature_map",
        "trackable_dict_wrapper",
        "trackable_list_wrapper",
        "trackable_tuple_wrapper",
        "variable",
    }
)
